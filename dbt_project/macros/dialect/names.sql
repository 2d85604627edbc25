{# Texts and names in SQL. #}

{# A text as a literal. #}
{% macro text_literal(text) -%}
    {{ return(adapter.dispatch('text_literal', 'cdp')(text)) }}
{%- endmacro %}

{% macro default__text_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{# Databricks, too: '' ends a text there, and a backslash escapes. #}
{% macro spark__text_literal(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{# A column's name in quotes, because it may be a word of the engine's own. #}
{% macro column_name(name) -%}
    {{ return(adapter.dispatch('column_name', 'cdp')(name)) }}
{%- endmacro %}

{% macro default__column_name(name) -%}
    {{ return(adapter.quote(name)) }}
{%- endmacro %}
