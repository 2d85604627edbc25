-- Which identifiers a tuple kept: those whose times move when it is seen again. One row per (tuple, identifier).
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=['{{ start_over(arrives=true) }}', '{{ written_for_this_build() }}'], post_hook='{{ written_to_stay() }}'
) }}

select
    arrival,
    identifier
from {{ ref('linked_sightings') }}
where identifier = stands_with  -- not a handle
union all
select
    arrival,
    identifier
from {{ ref('lone_sightings') }}
