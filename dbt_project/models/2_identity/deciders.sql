-- Which identifier decides whose messages are those of a tuple: any that the first of them kept.
-- One row per tuple that kept one; arrival is the tuple's in tuples.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ start_over() }}') }}
-- depends_on: {{ ref('tuples') }}
{% set earlier_tuples = earlier_identity('tuples') %}

with grouped as (
    select distinct links.arrival
    from {{ ref('links') }} as links
    inner join {{ ref('forced') }} as forced on forced.handle = links.identifier
),

kept as (
    select
        arrival,
        min(stands_with) as identifier
    from {{ ref('linked_sightings') }}
    group by arrival
    union all
    select
        sightings.arrival,
        sightings.identifier
    from {{ ref('sightings') }} as sightings
    inner join {{ ref('seen_identifiers') }} as identifiers on identifiers.identifier = sightings.identifier
    left join grouped on grouped.arrival = sightings.arrival
    where sightings.item_count = 1 and identifiers.blocking_rule is null and grouped.arrival is null
)

select
    kept.arrival,
    kept.identifier
from kept
{% if earlier_tuples %}
-- A set that was met before has its decider.
inner join {{ ref('tuples') }} as tuples on tuples.arrival = kept.arrival
{% endif %}
