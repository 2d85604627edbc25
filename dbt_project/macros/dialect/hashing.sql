{# Keys, patterns and identifier arrays, as each engine spells them. #}

{# A text as a bigint >= 0: 63 bits of its md5. (DuckDB's own hash() is faster, and collides on numbered names.) #}
{% macro hash64(expression) -%}
    {{ return(adapter.dispatch('hash64', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__hash64(expression) -%}
    {{ cdp.not_on_this_engine('hash64') }}
{%- endmacro %}

{% macro duckdb__hash64(expression) -%}
    cast(md5_number_upper({{ expression }}) >> 1 as bigint)
{%- endmacro %}

{# One row per entry of the `identifiers` array: `keep` columns, item_count, place (the first is 0), identifier_type,
   value_as_given, is_plain (no value of the array has anything to spell but capitals and a phone's digits). #}
{% macro explode_identifiers(relation, keep) -%}
    {{ return(adapter.dispatch('explode_identifiers', 'cdp')(relation, keep)) }}
{%- endmacro %}

{% macro default__explode_identifiers(relation, keep) -%}
    {{ cdp.not_on_this_engine('explode_identifiers') }}
{%- endmacro %}

{% macro duckdb__explode_identifiers(relation, keep) -%}
select
    {% for name in keep %}{{ name }}, {% endfor %}
    item_count,
    place,
    entry."type" as identifier_type,
    entry."value" as value_as_given,
    is_plain
from (
    select
        {% for name in keep %}{{ name }}, {% endfor %}
        len(entries) as item_count,
        unnest(entries) as entry,
        unnest(range(len(entries))) as place,
        is_plain
    from (
        select
            {% for name in keep %}{{ name }}, {% endfor %}
            from_json(identifiers, '[{"type":"VARCHAR","value":"VARCHAR"}]') as entries,
            {{ cdp.identifiers_are_plain('identifiers') }} as is_plain
        from {{ relation }}
    ) as parsed
) as exploded
{%- endmacro %}

{# Whether no value in an `identifiers` array needs more than lower case: nothing but visible ASCII without escapes, and none
   of the marks around an address. #}
{% macro identifiers_are_plain(identifiers) -%}
    {{ return(adapter.dispatch('identifiers_are_plain', 'cdp')(identifiers)) }}
{%- endmacro %}

{% macro default__identifiers_are_plain(identifiers) -%}
    not {{ cdp.matches_pattern(identifiers, "[^!-~]|[\\\\<']|[oO]:") }}
{%- endmacro %}

{# A pattern would cost five times as much, and a full resolution has millions. #}
{% macro duckdb__identifiers_are_plain(identifiers) -%}
    strlen({{ identifiers }}) = length({{ identifiers }})
            {%- for mark in [' ', '\\', '<', "''", '\u007f', 'o:', 'O:'] %}
            and not contains({{ identifiers }}, '{{ mark }}')
            {%- endfor %}
{%- endmacro %}

{# Bytes of an md5 in hexadecimal, in the given order: DuckDB reads the first eight from the last to the first. #}
{% macro md5_bytes(digest, places) -%}
    {% for place in places %}substr({{ digest }}, {{ 2 * place + 1 }}, 2){{ ' || ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# SHA-256 of a text's UTF-8 in hexadecimal, small letters. #}
{% macro sha256_hex(expression) -%}
    {{ return(adapter.dispatch('sha256_hex', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__sha256_hex(expression) -%}
    sha2({{ expression }}, 256)
{%- endmacro %}

{% macro duckdb__sha256_hex(expression) -%}
    sha256({{ expression }})
{%- endmacro %}

{% macro postgres__sha256_hex(expression) -%}
    encode(sha256(convert_to({{ expression }}, 'UTF8')), 'hex') collate "C"
{%- endmacro %}

{% macro bigquery__sha256_hex(expression) -%}
    to_hex(sha256({{ expression }}))
{%- endmacro %}
