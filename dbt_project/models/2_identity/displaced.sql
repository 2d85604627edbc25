-- Identifiers that some message of this build had to drop, with their place: the first message that kept them (node), and
-- the times of those that did; none where every message dropped them. One row per identifier.
{{ config(materialized='intermediate') }}
with dropped as (
    select distinct identifier
    from {{ ref('drops') }}
),

kept as (
    select
        met.identifier,
        min(met.arrival) as arrival,
        min(met.first_seen_at) as first_seen_at,
        max(met.last_seen_at) as last_seen_at
    from (
        select
            sightings.arrival,
            sightings.identifier,
            sightings.first_seen_at,
            sightings.last_seen_at
        from {{ ref('sightings') }} as sightings
        inner join dropped on dropped.identifier = sightings.identifier
        union all
        select
            links.arrival,
            links.identifier,
            cast(null as {{ dbt.type_timestamp() }}) as first_seen_at,
            cast(null as {{ dbt.type_timestamp() }}) as last_seen_at
        from {{ ref('links') }} as links
        inner join dropped on dropped.identifier = links.identifier
    ) as met
    left join {{ ref('drops') }} as drops on drops.arrival = met.arrival and drops.identifier = met.identifier
    where drops.arrival is null
    group by met.identifier
)

select
    dropped.identifier,
    kept.arrival as node,
    kept.first_seen_at,
    kept.last_seen_at
from dropped
left join kept on kept.identifier = dropped.identifier
