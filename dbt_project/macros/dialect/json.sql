{# JSON as text: reading fields, taking objects and arrays apart, putting them together. #}

{# A landed record as the engine reads its fields; null where it could not be read. #}
{% macro landed_document() -%}
    {{ return(adapter.dispatch('landed_document', 'cdp')()) }}
{%- endmacro %}

{% macro default__landed_document() -%}
    case when _error is null then _payload end
{%- endmacro %}

{# JSON text, made by the macros here, as such a document. #}
{% macro as_document(expression) -%}
    {{ return(adapter.dispatch('as_document', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__as_document(expression) -%}
    {{ expression }}
{%- endmacro %}

{# Many scalar fields of one JSON column at once, as text columns. `fields`: {column: path}, a path being a list of keys.
   `source_sql` is a relation or CTE; its own columns stay. One parse per record on DuckDB. #}
{% macro with_json_fields(source_sql, column, fields) -%}
    {{ return(adapter.dispatch('with_json_fields', 'cdp')(source_sql, column, fields)) }}
{%- endmacro %}

{% macro default__with_json_fields(source_sql, column, fields) -%}
select
    records.*,
    {% for name, path in fields.items() -%}
    {{ cdp.json_text('records.' ~ column, path) }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as records
{%- endmacro %}

{% macro duckdb__with_json_fields(source_sql, column, fields) -%}
select
    parsed.* exclude (parsed_values),
    {% for name in fields -%}
    parsed.parsed_values[{{ loop.index }}] as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from (
    select
        records.*,
        json_extract_string(records.{{ column }}, [
            {% for path in fields.values() %}'{{ cdp.json_path(path) }}'{{ ', ' if not loop.last }}{% endfor %}
        ]) as parsed_values
    from {{ source_sql }} as records
) as parsed
{%- endmacro %}

{% macro json_path(path) -%}
    ${% for key in path %}{% if key is number %}[{{ key }}]{% else %}."{{ key }}"{% endif %}{% endfor %}
{%- endmacro %}

{# The scalar at a path, as text; null where it is missing or JSON null. #}
{% macro json_text(expression, path) -%}
    {{ return(adapter.dispatch('json_text', 'cdp')(expression, path)) }}
{%- endmacro %}

{% macro default__json_text(expression, path) -%}
    {{ cdp.not_on_this_engine('json_text') }}
{%- endmacro %}

{% macro duckdb__json_text(expression, path) -%}
    json_extract_string({{ expression }}, '{{ cdp.json_path(path) }}')
{%- endmacro %}

{# A JSON text that holds one scalar ("x", 1, true), as plain text. #}
{% macro json_scalar(expression) -%}
    {{ return(adapter.dispatch('json_scalar', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__json_scalar(expression) -%}
    {{ cdp.not_on_this_engine('json_scalar') }}
{%- endmacro %}

{% macro duckdb__json_scalar(expression) -%}
    json_extract_string({{ expression }}, '$')
{%- endmacro %}

{# 'object', 'array' or 'scalar'; null where the text is not JSON. #}
{% macro json_kind(expression) -%}
    {{ return(adapter.dispatch('json_kind', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__json_kind(expression) -%}
    {{ cdp.not_on_this_engine('json_kind') }}
{%- endmacro %}

{% macro duckdb__json_kind(expression) -%}
    case
        when not json_valid({{ expression }}) then null
        when json_type({{ expression }}) = 'OBJECT' then 'object'
        when json_type({{ expression }}) = 'ARRAY' then 'array'
        else 'scalar'
    end
{%- endmacro %}

{# One row per key of a JSON object: `keep` columns, entry_key, entry_value (JSON text). #}
{% macro explode_object(relation, keep, column) -%}
    {{ return(adapter.dispatch('explode_object', 'cdp')(relation, keep, column)) }}
{%- endmacro %}

{% macro default__explode_object(relation, keep, column) -%}
    {{ cdp.not_on_this_engine('explode_object') }}
{%- endmacro %}

{% macro duckdb__explode_object(relation, keep, column) -%}
select
    {% for name in keep %}{{ name }}, {% endfor %}
    entry_key,
    cast(json_extract({{ column }}, '$."' || entry_key || '"') as varchar) as entry_value
from (
    select
        {% for name in keep %}{{ name }}, {% endfor %}
        {{ column }},
        unnest(json_keys({{ column }})) as entry_key
    from {{ relation }}
    where {{ column }} is not null
) as keyed
where position('"' in entry_key) = 0
{%- endmacro %}

{# One row per element of a JSON array: `keep` columns, item_no (from 0), item (JSON text). #}
{% macro explode_array(relation, keep, column) -%}
    {{ return(adapter.dispatch('explode_array', 'cdp')(relation, keep, column)) }}
{%- endmacro %}

{% macro default__explode_array(relation, keep, column) -%}
    {{ cdp.not_on_this_engine('explode_array') }}
{%- endmacro %}

{% macro duckdb__explode_array(relation, keep, column) -%}
select
    {% for name in keep %}{{ name }}, {% endfor %}
    generate_subscripts(items, 1) - 1 as item_no,
    unnest(items) as item
from (
    select
        {% for name in keep %}{{ name }}, {% endfor %}
        cast(json_extract({{ column }}, '$[*]') as varchar[]) as items
    from {{ relation }}
    where {{ column }} is not null
) as listed
{%- endmacro %}

{# A text as a JSON string literal: quoted and escaped. Null stays null. #}
{% macro json_quote(expression) -%}
    {{ return(adapter.dispatch('json_quote', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__json_quote(expression) -%}
    {{ cdp.not_on_this_engine('json_quote') }}
{%- endmacro %}

{% macro duckdb__json_quote(expression) -%}
    cast(to_json(cast({{ expression }} as varchar)) as varchar)
{%- endmacro %}

{# The entries of `overriding` laid over those of `base` (both JSON objects or null). #}
{% macro json_merge(base, overriding) -%}
    {{ return(adapter.dispatch('json_merge', 'cdp')(base, overriding)) }}
{%- endmacro %}

{% macro default__json_merge(base, overriding) -%}
    {{ cdp.not_on_this_engine('json_merge') }}
{%- endmacro %}

{% macro duckdb__json_merge(base, overriding) -%}
    coalesce(cast(json_merge_patch({{ base }}, {{ overriding }}) as varchar), {{ overriding }}, {{ base }})
{%- endmacro %}

{# Parts joined with commas; null parts are left out. (Where concat_ws is null as soon as one part is, add a body.) #}
{% macro join_parts(parts) -%}
    {{ return(adapter.dispatch('join_parts', 'cdp')(parts)) }}
{%- endmacro %}

{% macro default__join_parts(parts) -%}
    concat_ws(
        ',',
        {% for part in parts %}{{ part }}{{ ',\n        ' if not loop.last }}{% endfor %}
    )
{%- endmacro %}

{# context.externalIds as further entries of an identifiers array (without brackets). #}
{% macro external_identifiers(expression) -%}
    {{ return(adapter.dispatch('external_identifiers', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__external_identifiers(expression) -%}
    {{ cdp.not_on_this_engine('external_identifiers') }}
{%- endmacro %}

{% macro duckdb__external_identifiers(expression) -%}
    nullif(array_to_string(
        list_transform(
            list_filter(
                cast(json_extract(case when {{ cdp.json_kind(expression) }} = 'array' then {{ expression }} end, '$[*]') as varchar[]),
                lambda entry: trim(json_extract_string(entry, '$.type')) <> ''
                and coalesce(json_extract_string(entry, '$.collection'), 'users') = 'users'
                and trim(json_extract_string(entry, '$.id')) <> ''
            ),
            lambda entry: '{"type":' || cast(to_json(json_extract_string(entry, '$.type')) as varchar) || ',"value":'
            || cast(to_json(json_extract_string(entry, '$.id')) as varchar) || '}'
        ),
        ','
    ), '')
{%- endmacro %}

{# context.consent.categoryPreferences {purpose: true or false} as a JSON array of {regulation, purpose, state}. #}
{% macro preferences_as_consents(expression, regulation) -%}
    {{ return(adapter.dispatch('preferences_as_consents', 'cdp')(expression, regulation)) }}
{%- endmacro %}

{% macro default__preferences_as_consents(expression, regulation) -%}
    {{ cdp.not_on_this_engine('preferences_as_consents') }}
{%- endmacro %}

{% macro duckdb__preferences_as_consents(expression, regulation) -%}
    case when {{ cdp.json_kind(expression) }} = 'object' then nullif('[' || array_to_string(
        list_transform(
            list_filter(
                json_keys({{ expression }}),
                lambda purpose: json_extract_string({{ expression }}, '$."' || purpose || '"') in ('true', 'false')
            ),
            lambda purpose: '{"regulation":"{{ regulation }}","purpose":' || cast(to_json(purpose) as varchar)
            || ',"state":"' || case
                when json_extract_string({{ expression }}, '$."' || purpose || '"') = 'true' then 'granted' else 'denied'
            end || '"}'
        ),
        ','
    ) || ']', '[]') end
{%- endmacro %}
