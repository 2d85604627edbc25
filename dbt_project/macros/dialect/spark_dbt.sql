{# What dbt itself asks of an engine, where Spark's adapter has no answer that fits these models. `dispatch` in dbt_project.yml
   makes dbt look here first. #}

{# Times are UTC, without zone. #}
{% macro spark__type_timestamp() -%}
    timestamp_ntz
{%- endmacro %}

{# 64 bits; Spark's float has 32. #}
{% macro spark__type_float() -%}
    double
{%- endmacro %}

{# The types that contracts are written in, as Spark calls them. #}
{% macro spark__get_empty_schema_sql(columns) -%}
    {%- set spelled = {'text': 'string', 'double precision': 'double', 'timestamp': 'timestamp_ntz'} -%}
    select
    {% for name, column in columns.items() -%}
        cast(null as {{ spelled.get(column['data_type'], column['data_type']) }}) as {{ adapter.quote(column['name']) }}
        {{- ',' if not loop.last }}
    {% endfor %}
{%- endmacro %}

{# Parquet tables cannot be changed in place, so `delete+insert` has no meaning here; as every build is a full one (open_landing
   sees to it), those models are made anew and only `append` ever adds to a table. #}
{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) -%}
    {{ return('append' if raw_strategy == 'delete+insert' else raw_strategy) }}
{%- endmacro %}

{# Views are views, but for staging models: Spark works a view out again at every mention, wherever it is, and what reads and
   unfolds a record stands in it more than once. #}
{% materialization view, adapter='spark' -%}
    {%- if not model.name.startswith('stg_') -%}
        {{ return(create_or_replace_view()) }}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- do cdp.replace_table(target_relation, sql) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
