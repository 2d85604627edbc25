-- Which identifier decides whose messages are those of a tuple: any that the first of them kept.
-- One row per tuple that kept one; arrival is the tuple's in tuples.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook='{{ start_over(arrives=true) }}') }}

select
    arrival,
    min(stands_with) as identifier
from {{ ref('linked_sightings') }}
group by arrival
union all
select
    arrival,
    identifier
from {{ ref('lone_sightings') }}
