-- How large each audience was after each build, and how it moved. One row per audience and build.
-- Each audience adds its row itself, in the transaction that writes its changes; made from the
-- changes where this relation is missing.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}

{% if is_incremental() %}
select *
from {{ this }}
where 1 = 0
{% else %}
with moved as (
    select
        audience,
        profile_id,
        build_id,
        max({{ column_name('at') }}) as moved_at,
        sum(case when change = 'entered' then 1 else -1 end) as net
    from {{ ref('changes') }}
    group by audience, profile_id, build_id
),

counted as (
    select
        moved.audience,
        moved.build_id,
        max(moved.moved_at) as moved_at,
        max(builds.started_at) as started_at,
        sum(case when moved.net > 0 then 1 else 0 end) as entered,
        sum(case when moved.net < 0 then 1 else 0 end) as exited
    from moved
    left join {{ ref('builds') }} as builds on builds.build_id = moved.build_id
    group by moved.audience, moved.build_id
),

added_up as (
    select
        counted.*,
        sum(entered - exited) over (
            partition by audience
            order by moved_at, started_at, build_id
            rows between unbounded preceding and current row
        ) as members
    from counted
)

select
    audience,
    cast(members as {{ dbt.type_bigint() }}) as members,
    cast(entered as {{ dbt.type_bigint() }}) as entered,
    cast(exited as {{ dbt.type_bigint() }}) as exited,
    case
        when members > 0 then cast(entered + exited as {{ type_double() }}) / members
    end as volatility,
    moved_at as {{ column_name('at') }},
    build_id
from added_up
{% endif %}
