{# Databricks: Delta tables in Unity Catalog. What is not here is as on Spark (spark.sql): dbt looks there next. #}

{# SQL warehouses keep no temporary table from one statement to the next: real ones. #}
{% macro databricks__scratch(name) -%}
    {{ return(this.incorporate(path={'identifier': '_' ~ this.identifier ~ '__' ~ name}) | string) }}
{%- endmacro %}

{% macro databricks__filled(table, sql) -%}
    {{ return(['create or replace table ' ~ table ~ ' as ' ~ sql]) }}
{%- endmacro %}

{# One statement after the other; Delta keeps its own statistics. #}
{% macro databricks__run_all(statements) -%}
    {{ return(cdp.default__run_all(statements)) }}
{%- endmacro %}

{% macro databricks__settled() -%}
{%- endmacro %}

{# Loaded as on Snowflake and BigQuery, not read in place: the landing folder is on another machine. #}
{% macro databricks__open_landing() %}
    {% do cdp.require_loaded_landing() %}
{% endmacro %}

{# Read through its own clients: there is nothing to leave behind. #}
{% macro databricks__publish() %}
{% endmacro %}

{# dbt's own delete+insert would be two statements, which are not atomic here. #}
{% macro dbt_databricks_validate_get_incremental_strategy(raw_strategy, file_format) -%}
    {%- if raw_strategy == 'delete+insert' -%}{{ return('replacing') }}{%- endif -%}
    {{ return(dbt.dbt_databricks_validate_get_incremental_strategy(raw_strategy, file_format)) }}
{%- endmacro %}

{% macro get_incremental_replacing_sql(arg_dict) -%}
    {%- set columns = adapter.get_columns_in_relation(arg_dict['target_relation']) | map(attribute='quoted') | list -%}
    {{ return(cdp.replacing_merge(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], columns)) }}
{%- endmacro %}
