{# Text to numbers: null where the text is none. #}

{% macro to_money(expression) -%}
    {{ return(adapter.dispatch('to_money', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__to_money(expression) -%}
    {{ dbt.safe_cast(expression, api.Column.translate_type('decimal(18, 2)')) }}
{%- endmacro %}

{# `type` is bigint, double or boolean. #}
{% macro to_type(expression, type) -%}
    {{ return(adapter.dispatch('to_type', 'cdp')(expression, type)) }}
{%- endmacro %}

{% macro default__to_type(expression, type) -%}
    {{ dbt.safe_cast(expression, {'bigint': dbt.type_bigint(), 'double': cdp.type_double(), 'boolean': 'boolean'}[type]) }}
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
