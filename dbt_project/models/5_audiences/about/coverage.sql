-- How many members of each audience can be reached how: who holds an identifier that is an address,
-- a phone number, a device's. One row per audience that has members.
{{ config(materialized='view') }}

with held as (
    select
        profile_id,
        {{ reach_columns() }}
    from {{ ref('identifiers') }}
    group by profile_id
)

select
    members.audience,
    cast(count(*) as {{ dbt.type_bigint() }}) as members,
    cast(coalesce(sum(held.has_email), 0) as {{ dbt.type_bigint() }}) as with_email,
    cast(coalesce(sum(held.has_phone), 0) as {{ dbt.type_bigint() }}) as with_phone,
    cast(coalesce(sum(held.has_device), 0) as {{ dbt.type_bigint() }}) as with_device
from {{ ref('current_members') }} as members
left join held on held.profile_id = members.profile_id
group by members.audience
