-- Every distinct set of identifiers that messages carried, with one that decides whose messages they are: any that the
-- first of them kept. One row per distinct identifiers; `identifier` is null where none may identify anybody.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ start_over() }}') }}

with kept as (
    select
        arrival,
        min(stands_with) as identifier
    from {{ ref('linked_sightings') }}
    group by arrival
),

alone as (
    select
        sightings.arrival,
        min(sightings.identifier) as identifier
    from {{ ref('sightings') }} as sightings
    inner join {{ ref('seen_identifiers') }} as identifiers
        on identifiers.identifier = sightings.identifier and identifiers.blocking_rule is null
    where sightings.item_count = 1
    group by sightings.arrival
)

select
    seen_tuples.identifiers,
    seen_tuples.arrival,
    coalesce(kept.identifier, alone.identifier) as identifier
from {{ ref('seen_tuples') }} as seen_tuples
left join kept on kept.arrival = seen_tuples.arrival
left join alone on alone.arrival = seen_tuples.arrival
{% if is_incremental() %}
left join {{ this }} as known on known.identifiers = seen_tuples.identifiers
where known.identifiers is null
{% endif %}
