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

{# A text without the blanks, tabs and line ends around it. #}
{% macro trimmed(expression) -%}
    {{ return(adapter.dispatch('trimmed', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__trimmed(expression) -%}
    trim({{ expression }}, ' ' || chr(9) || chr(10) || chr(13))
{%- endmacro %}

{# Nearly every value is trimmed already, and trim() itself would take a twentieth of a full resolution. #}
{% macro duckdb__trimmed(expression) -%}
    case
        when
            {{ expression }} < '!' or {{ expression }} like '% ' or {{ expression }} like '%' || chr(9)
            or {{ expression }} like '%' || chr(10) or {{ expression }} like '%' || chr(13)
            then trim({{ expression }}, ' ' || chr(9) || chr(10) || chr(13))
        else {{ expression }}
    end
{%- endmacro %}

{% macro spark__trimmed(expression) -%}
    trim(both ' ' || chr(9) || chr(10) || chr(13) from {{ expression }})
{%- endmacro %}

{# Whether a text contains a match of a regular expression. #}
{% macro matches_pattern(expression, pattern) -%}
    {{ return(adapter.dispatch('matches_pattern', 'cdp')(expression, pattern)) }}
{%- endmacro %}

{% macro default__matches_pattern(expression, pattern) -%}
    {{ cdp.not_on_this_engine('matches_pattern') }}
{%- endmacro %}

{% macro duckdb__matches_pattern(expression, pattern) -%}
    regexp_matches({{ expression }}, '{{ pattern | replace("'", "''") }}')
{%- endmacro %}

{# One row per entry of the `identifiers` array: `keep` columns, item_count, identifier_type, trimmed_value. #}
{% macro explode_identifiers(relation, keep) -%}
select
    {% for name in keep %}{{ name }}, {% endfor %}
    item_count,
    identifier_type,
    {{ cdp.trimmed('value_as_given') }} as trimmed_value
from (
    {{ cdp.identifier_entries(relation, keep) }}
) as given
{%- endmacro %}

{# The same with value_as_given, as each engine reads the array. #}
{% macro identifier_entries(relation, keep) -%}
    {{ return(adapter.dispatch('identifier_entries', 'cdp')(relation, keep)) }}
{%- endmacro %}

{% macro default__identifier_entries(relation, keep) -%}
    {{ cdp.not_on_this_engine('identifier_entries') }}
{%- endmacro %}

{% macro duckdb__identifier_entries(relation, keep) -%}
select
    {% for name in keep %}{{ name }}, {% endfor %}
    item_count,
    entry."type" as identifier_type,
    entry."value" as value_as_given
from (
    select
        {% for name in keep %}{{ name }}, {% endfor %}
        len(entries) as item_count,
        unnest(entries) as entry
    from (
        select
            {% for name in keep %}{{ name }}, {% endfor %}
            from_json(identifiers, '[{"type":"VARCHAR","value":"VARCHAR"}]') as entries
        from {{ relation }}
    ) as parsed
) as exploded
{%- endmacro %}

{# Bytes of an md5 in hexadecimal, in the given order: DuckDB reads the first eight from the last to the first. #}
{% macro md5_bytes(digest, places) -%}
    {% for place in places %}substr({{ digest }}, {{ 2 * place + 1 }}, 2){{ ' || ' if not loop.last }}{% endfor %}
{%- endmacro %}
