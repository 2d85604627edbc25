-- How many people have another id since a resolution from the beginning: under another rule, order
-- or decision, another message may found them. One row per resolution that began again over people
-- who were there; never rebuilt.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}
{% set before = people_before() %}

with owned as (
    select
        identifier,
        profile_id
    from {{ ref('new_owners') }}
),

people_now as (
    select distinct profile_id
    from owned
),

people_then as (
    {% if before %}
    select
        before.profile_id,
        count(owned.identifier) as identifiers_now
    from {{ before }} as before
    left join owned on owned.identifier = before.identifier
    group by before.profile_id
    {% else %}
    select
        profile_id,
        1 as identifiers_now
    from owned
    where 1 = 0
    {% endif %}
),

counted as (
    select
        count(*) as people,
        sum(
            case
                when people_now.profile_id is null and people_then.identifiers_now > 0 then 1
                else 0
            end
        ) as renamed
    from people_then
    left join people_now on people_now.profile_id = people_then.profile_id
)

select
    current_resolution.resolution_no,
    current_build.build_id,
    cast(counted.people as {{ dbt.type_bigint() }}) as people,
    cast(counted.renamed as {{ dbt.type_bigint() }}) as renamed
from counted
cross join {{ ref('current_build') }} as current_build
cross join {{ ref('current_resolution') }} as current_resolution
where
    counted.people > 0
{% if is_incremental() %}
    -- The model may run again, over people whom this resolution has moved already.
    and current_resolution.resolution_no > (
        select coalesce(max(earlier.resolution_no), 0)
        from {{ this }} as earlier
    )
{% endif %}
