-- What each attribute was last worked out from, and moved_events. One row per relation, which
-- writes it itself in its own transaction (macros/attributes/movement.sql).
{{ config(materialized='incremental', incremental_strategy='append') }}

select
    cast(null as {{ dbt.type_string() }}) as relation,
    cast(null as {{ dbt.type_string() }}) as write_id,
    cast(null as {{ dbt.type_timestamp() }}) as as_of,
    cast(null as boolean) as is_whole,
    cast(null as {{ dbt.type_string() }}) as build_id,
    cast(null as {{ dbt.type_string() }}) as definition,
    cast(null as {{ dbt.type_string() }}) as since_write_id,
    cast(null as {{ dbt.type_timestamp() }}) as since_as_of
from {{ ref('current_build') }}
where 1 = 0
