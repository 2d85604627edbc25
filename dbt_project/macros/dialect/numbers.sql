{# Text to numbers: null where the text is none. #}

{% macro to_money(expression) -%}
    {{ dbt.safe_cast(expression, api.Column.translate_type('decimal(18, 2)')) }}
{%- endmacro %}

{% macro to_type(expression, type) -%}
    {%- set types = {
        'bigint': dbt.type_bigint(), 'double': 'double precision', 'boolean': 'boolean',
    } -%}
    {{ dbt.safe_cast(expression, types[type]) }}
{%- endmacro %}
