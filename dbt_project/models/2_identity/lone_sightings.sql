-- Identifiers that came alone and are in no forced group: nothing can keep them from their tuple. One row per tuple.
{{ config(materialized='ephemeral') }}

with grouped as (
    select distinct links.arrival
    from {{ ref('links') }} as links
    inner join {{ ref('forced') }} as forced on forced.handle = links.identifier
)

select
    sightings.arrival,
    sightings.identifier
from {{ ref('sightings') }} as sightings
inner join {{ ref('seen_identifiers') }} as identifiers on identifiers.identifier = sightings.identifier
left join grouped on grouped.arrival = sightings.arrival
where sightings.item_count = 1 and identifiers.blocking_rule is null and grouped.arrival is null
