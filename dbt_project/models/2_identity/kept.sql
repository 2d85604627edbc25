-- Which identifiers a tuple kept: those whose times move when it is seen again. One of them decides whose messages are those
-- of the tuple: any, because they are one person's. One row per (tuple, identifier).
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=['{{ start_over(arrives=true) }}', '{{ written_for_this_build() }}'], post_hook='{{ written_to_stay() }}'
) }}

with linked as (
    select
        arrival,
        identifier
    from {{ ref('linked_sightings') }}
    where identifier = stands_with  -- not a handle
),

deciding as (
    select
        arrival,
        min(identifier) as identifier
    from linked
    group by arrival
)

select
    linked.arrival,
    linked.identifier,
    linked.identifier = deciding.identifier as decides
from linked
inner join deciding on deciding.arrival = linked.arrival
union all
select
    arrival,
    identifier,
    true as decides
from {{ ref('lone_sightings') }}
