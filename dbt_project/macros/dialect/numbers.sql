{# Text to numbers: null where the text is none. (dbt.safe_cast is a plain cast on DuckDB and PostgreSQL, and fails there.) #}

{# Dollars and cents, rounded half away from zero. #}
{% macro to_money(expression) -%}
    {{ return(adapter.dispatch('to_money', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__to_money(expression) -%}
    {{ cdp.not_on_this_engine('to_money') }}
{%- endmacro %}

{% macro duckdb__to_money(expression) -%}
    try_cast({{ expression }} as decimal(18, 2))
{%- endmacro %}

{# `type` is bigint, double or boolean. #}
{% macro to_type(expression, type) -%}
    {{ return(adapter.dispatch('to_type', 'cdp')(expression, type)) }}
{%- endmacro %}

{% macro default__to_type(expression, type) -%}
    {{ cdp.not_on_this_engine('to_type') }}
{%- endmacro %}

{% macro duckdb__to_type(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{# A 64-bit floating point number. #}
{% macro type_double() -%}
    {{ return(adapter.dispatch('type_double', 'cdp')()) }}
{%- endmacro %}

{% macro default__type_double() -%}
    double precision
{%- endmacro %}

{# The spellings that DuckDB takes for a boolean. #}
{% macro boolean_from_text(expression) -%}
    case
        when lower({{ expression }}) in ('true', 't', 'yes', 'y', '1') then true
        when lower({{ expression }}) in ('false', 'f', 'no', 'n', '0') then false
    end
{%- endmacro %}
