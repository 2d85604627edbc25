-- Each entry into and exit from an audience that a build saw. One row per change; append-only,
-- never rebuilt. The audiences write here themselves, through the hooks on their folder; this model
-- only closes the stays of audiences that no longer exist.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}

{% if is_incremental() %}
{# A log that an earlier version began has no variants; its column comes with this build. #}
{% set knows_variants = 'variant' in adapter.get_columns_in_relation(this) | map(attribute='name') %}
{% set variant = 'variant' if knows_variants else 'cast(null as ' ~ dbt.type_string() ~ ')' %}
select
    audience,
    profile_id,
    'exited' as change,
    {{ variant }} as variant,
    {{ as_of() }} as {{ column_name('at') }},
    (select current_build.build_id from {{ ref('current_build') }} as current_build) as build_id
from {{ this }}
where audience not in ({{ string_literals(audience_names()) }})
group by audience, profile_id{{ ', variant' if knows_variants }}
having sum(case when change = 'entered' then 1 else -1 end) > 0
{% else %}
select
    cast(null as {{ dbt.type_string() }}) as audience,
    cast(null as {{ dbt.type_string() }}) as profile_id,
    cast(null as {{ dbt.type_string() }}) as change,
    cast(null as {{ dbt.type_string() }}) as variant,
    {{ as_of() }} as {{ column_name('at') }},
    this_build.build_id
from {{ ref('current_build') }} as this_build
where 1 = 0
{% endif %}
