-- Who was touched when profiles.events was written: people with new events, and both the former and
-- the present owner of those that changed hands. One row per write and person, and one of nobody
-- that marks the write. profiles.events writes here itself, in its own transaction; moved_events
-- takes away what it has read.
{{ config(materialized='incremental', incremental_strategy='append') }}

select
    cast(null as {{ dbt.type_bigint() }}) as write_no,
    cast(null as {{ dbt.type_string() }}) as write_id,
    cast(null as boolean) as is_whole,
    cast(null as {{ dbt.type_string() }}) as profile_id
from (select 1 as nothing) as nothing
where 1 = 0
