{# Who is no member although the model selects them: priority lists and exclusion, as vars: audiences of dbt_project.yml declares
   them (cdp_orchestration/project/audience_rules.py says what it refuses). #}

{# What comes before an audience: those of its priority list that stand above it, and what is excluded from all audiences. An
   excluded one is excluded from nothing. #}
{% macro goes_before(audience) -%}
    {%- set declared = var('audiences', {}) or {} -%}
    {%- set before = [] -%}
    {%- for list in (declared.get('priority_lists') or {}).values() if audience in list -%}
        {%- for name in list[:list.index(audience)] -%}{%- do before.append(name) -%}{%- endfor -%}
    {%- endfor -%}
    {%- set excluded = declared.get('excluded') or [] -%}
    {%- if audience not in excluded -%}
        {%- for name in excluded -%}{%- do before.append(name) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(before) }}
{%- endmacro %}

{# First hook of the folder: an audience gives away whom the ones before it hold. They are built first, as it refers to them. #}
{% macro give_way() -%}
{%- if cdp.is_audience(model) -%}
{%- set before = cdp.goes_before(model.name) -%}
{%- if before and execute and model.config.materialized != 'table' -%}
    {{ cdp.refuse_condition('materialized', 'it is ' ~ model.config.materialized ~ ', and must be a table for vars: audiences:'
        ~ ' priority_lists and excluded of dbt_project.yml to take effect: leave `materialized` out') }}
{%- endif -%}
{%- if before -%}
{{ cdp.without_people_of(before) }}
{%- endif -%}
{%- endif -%}
{%- endmacro %}

{% macro without_people_of(before) -%}
    {{ return(adapter.dispatch('without_people_of', 'cdp')(before)) }}
{%- endmacro %}

{% macro default__without_people_of(before) -%}
delete from {{ this }}
where
    profile_id in (
    {%- for name in before %}
        select ahead.profile_id
        from {{ ref(name) }} as ahead
        where ahead.profile_id is not null
        {{- '\n        union all' if not loop.last }}
    {%- endfor %}
    )
{%- endmacro %}

{# Rows of a Parquet table stay until it is made anew. #}
{% macro spark__without_people_of(before) -%}
    {{ cdp.refuse_condition('vars: audiences', 'on Spark priority_lists and excluded have no effect: take them out, and write'
        ~ " `excluding('" ~ before[0] ~ "')` into the audience") }}
{%- endmacro %}

{% macro databricks__without_people_of(before) -%}
    {{ cdp.default__without_people_of(before) }}
{%- endmacro %}
