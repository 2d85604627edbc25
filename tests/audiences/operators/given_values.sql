-- One column of each type, for the unit tests of operators to fill. No rows.
{{ config(materialized='view') }}

select
    cast(null as {{ dbt.type_string() }}) as profile_id,
    cast(null as {{ dbt.type_string() }}) as words,
    cast(null as {{ type_double() }}) as amount,
    cast(null as {{ dbt.type_timestamp() }}) as moment,
    cast(null as {{ dbt.type_boolean() }}) as flag,
    cast(null as {{ dbt.type_string() }}) as items,
    cast(null as {{ dbt.type_string() }}) as details,
    cast(null as {{ type_double() }}) as lat,
    cast(null as {{ type_double() }}) as lon
where 1 = 0
