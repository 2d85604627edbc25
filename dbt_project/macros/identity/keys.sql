{# The keys that the resolution joins on. #}

{# An identifier as a 63-bit key. Senders name types as they like, so the key writes an = in an
   undeclared type as %3D: two identifiers share a key by chance alone, and then a test fails,
   loudly. #}
{% macro identifier_key(type, value) -%}
    {%- set name = "case when " ~ type ~ " in (" ~ cdp.identifier_types() ~ ") then " ~ type
        ~ " else replace(replace(" ~ type ~ ", '%', '%25'), '=', '%3D') end" -%}
    {{ cdp.hash64(name ~ " || '=' || " ~ value) }}
{%- endmacro %}

{# The key of a forced group's handle, which no identifier can have. #}
{% macro handle_key(root) -%}
    {{ cdp.hash64("'%forced=' || cast(" ~ root ~ " as " ~ dbt.type_string() ~ ")") }}
{%- endmacro %}
