-- Members of a split audience whom a merge put into another variant: the older profile stays, and
-- its variant with it. One row per survivor, variant that was dropped and build; append-only, never
-- rebuilt. The audiences write here themselves, through the hook on their folder.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}

select
    cast(null as {{ dbt.type_string() }}) as audience,
    cast(null as {{ dbt.type_string() }}) as profile_id,
    cast(null as {{ dbt.type_string() }}) as kept,
    cast(null as {{ dbt.type_string() }}) as dropped,
    {{ as_of() }} as {{ column_name('at') }},
    this_build.build_id
from {{ ref('current_build') }} as this_build
where 1 = 0
