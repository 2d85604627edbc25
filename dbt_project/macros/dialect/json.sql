{# JSON as text: reading fields, taking objects and arrays apart, putting them together. #}

{# A landed record as the engine reads its fields; null where it could not be read. #}
{% macro landed_document() -%}
    {{ return(adapter.dispatch('landed_document', 'cdp')()) }}
{%- endmacro %}

{% macro default__landed_document() -%}
    case when _error is null then {{ cdp.without_null_character('_payload') }} end
{%- endmacro %}

{# JSON text whose strings hold no character U+0000, which no text of PostgreSQL can hold: U+FFFD stands in its place. Pairs of
   backslashes are out of the way meanwhile (as a character that JSON text cannot hold), or the end of one would look like the
   beginning of an escape. The loader of PostgreSQL does the same. #}
{% macro without_null_character(expression) -%}
    case
        when {{ cdp.holds_null_character(expression) }}
            then replace(
                replace(
                    replace({{ expression }}, {{ cdp.text_literal("\\\\") }}, chr(1)),
                    {{ cdp.text_literal("\\u0000") }}, {{ cdp.text_literal("\\ufffd") }}
                ),
                chr(1), {{ cdp.text_literal("\\\\") }}
            )
        else {{ expression }}
    end
{%- endmacro %}

{% macro holds_null_character(expression) -%}
    {{ dbt.position(cdp.text_literal("\\u0000"), expression) }} > 0
{%- endmacro %}

{# JSON text, made by the macros here, as such a document. #}
{% macro as_document(expression) -%}
    {{ return(adapter.dispatch('as_document', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__as_document(expression) -%}
    {{ expression }}
{%- endmacro %}

{# Many fields of one JSON column at once, as text columns: a scalar as plain text, an object or array as JSON text; those
   named in `raw` always as JSON text, so that the first letter tells what they are. JSON null is null.
   `fields`: {column: path}, a path being a list of keys. `source_sql` is a relation or CTE; its own columns stay. #}
{% macro with_json_fields(source_sql, column, fields, raw=[]) -%}
    {{ return(adapter.dispatch('with_json_fields', 'cdp')(source_sql, column, fields, raw)) }}
{%- endmacro %}

{% macro default__with_json_fields(source_sql, column, fields, raw) -%}
select
    records.*,
    {% for name, path in fields.items() -%}
    {{ cdp.json_value('records.' ~ column, path) if name in raw else cdp.json_text('records.' ~ column, path) }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as records
{%- endmacro %}

{# One parse per record for the texts, and one for what is raw. #}
{% macro duckdb__with_json_fields(source_sql, column, fields, raw) -%}
{%- set texts, values = [], [] -%}
{%- for name in fields -%}{%- do (values if name in raw else texts).append(name) -%}{%- endfor -%}
{%- set lists = {} -%}
{%- if texts -%}{%- do lists.update({'parsed_texts': ('json_extract_string', texts)}) -%}{%- endif -%}
{%- if values -%}{%- do lists.update({'parsed_values': ('json_extract', values)}) -%}{%- endif -%}
select
    parsed.* exclude ({{ lists | join(', ') }}),
    {% for name in fields -%}
    {% if name in raw -%}
    nullif(cast(parsed.parsed_values[{{ values.index(name) + 1 }}] as varchar), 'null') as {{ name }}{{ ',' if not loop.last }}
    {%- else -%}
    parsed.parsed_texts[{{ texts.index(name) + 1 }}] as {{ name }}{{ ',' if not loop.last }}
    {%- endif %}
    {% endfor %}
from (
    select
        records.*,
        {%- for name, (function, names) in lists.items() %}
        {{ function }}(records.{{ column }}, [
            {% for each in names %}'{{ cdp.json_path(fields[each]) }}'{{ ', ' if not loop.last }}{% endfor %}
        ]) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source_sql }} as records
) as parsed
{%- endmacro %}

{# A key may be any text: quotes and backslashes are escaped for the path, and the path for its literal. #}
{% macro json_path(path) -%}
    ${% for key in path %}{% if key is number %}[{{ key }}]{% else %}."{{ cdp.path_key(key) | replace("'", "''") }}"{% endif %}{% endfor %}
{%- endmacro %}

{% macro path_key(key) -%}
    {{ return(key | replace("\\", "\\\\") | replace('"', '\\"')) }}
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

{# The value at a path as JSON text, a text in its quotes; null where it is missing or JSON null. #}
{% macro json_value(expression, path) -%}
    {{ return(adapter.dispatch('json_value', 'cdp')(expression, path)) }}
{%- endmacro %}

{% macro default__json_value(expression, path) -%}
    {{ cdp.not_on_this_engine('json_value') }}
{%- endmacro %}

{% macro duckdb__json_value(expression, path) -%}
    nullif(cast(json_extract({{ expression }}, '{{ cdp.json_path(path) }}') as varchar), 'null')
{%- endmacro %}

{# What a value is, by its JSON text without spaces around it (as json_value, `raw` fields and explode_* give it). #}
{% macro holds_object(value) -%}
    {{ value }} like '{' || '%'
{%- endmacro %}

{% macro holds_array(value) -%}
    {{ value }} like '[%'
{%- endmacro %}

{# text, number, boolean, object or array. #}
{% macro value_kind(value) -%}
    case
        when {{ value }} like '"%' then 'text'
        when {{ cdp.holds_object(value) }} then 'object'
        when {{ cdp.holds_array(value) }} then 'array'
        when {{ value }} in ('true', 'false') then 'boolean'
        when {{ value }} is not null then 'number'
    end
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

{# By structure, not by path: a name may be any text. Of a name that is repeated the first value counts. #}
{% macro duckdb__explode_object(relation, keep, column) -%}
select
    {% for name in keep %}{{ name }}, {% endfor %}
    entry_key,
    entry_value
from (
    select
        {% for name in keep %}{{ name }}, {% endfor %}
        entry_keys,
        generate_subscripts(entry_keys, 1) as entry_place,
        unnest(entry_keys) as entry_key,
        cast(unnest(entry_values) as varchar) as entry_value
    from (
        select
            {% for name in keep %}{{ name }}, {% endfor %}
            json_keys({{ column }}) as entry_keys,
            json_extract({{ column }}, '$.*') as entry_values
        from {{ relation }}
        where {{ column }} is not null
    ) as listed
) as keyed
where list_position(entry_keys, entry_key) = entry_place
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

{# Whether any item of a JSON array (a scalar as plain text, called `item`) meets a condition. #}
{% macro any_item(expression, condition) -%}
    {{ return(adapter.dispatch('any_item', 'cdp')(expression, condition)) }}
{%- endmacro %}

{% macro default__any_item(expression, condition) -%}
    {{ cdp.not_on_this_engine('any_item') }}
{%- endmacro %}

{% macro duckdb__any_item(expression, condition) -%}
    len(list_filter(json_extract_string({{ expression }}, '$[*]'), lambda item: {{ condition }})) > 0
{%- endmacro %}

{# How many items a JSON array has. #}
{% macro item_count(expression) -%}
    {{ return(adapter.dispatch('item_count', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__item_count(expression) -%}
    {{ cdp.not_on_this_engine('item_count') }}
{%- endmacro %}

{% macro duckdb__item_count(expression) -%}
    json_array_length({{ expression }})
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

{# context.externalIds (JSON text) as further entries of an identifiers array, without brackets: of entries whose id and type
   are texts or numbers. #}
{% macro external_identifiers(expression) -%}
    {{ return(adapter.dispatch('external_identifiers', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__external_identifiers(expression) -%}
    {{ cdp.not_on_this_engine('external_identifiers') }}
{%- endmacro %}

{% macro duckdb__external_identifiers(expression) -%}
    case when {{ cdp.holds_array(expression) }} then nullif(array_to_string(
        list_transform(
            list_filter(
                cast(json_extract({{ expression }}, '$[*]') as varchar[]),
                lambda entry: {{ cdp.has_text("json_extract_string(entry, '$.type')") }}
                and coalesce(json_extract_string(entry, '$.collection'), 'users') = 'users'
                and {{ cdp.has_text("json_extract_string(entry, '$.id')") }}
                and json_type(entry, '$.type') not in ('OBJECT', 'ARRAY', 'BOOLEAN')
                and json_type(entry, '$.id') not in ('OBJECT', 'ARRAY', 'BOOLEAN')
            ),
            lambda entry: '{"type":' || cast(to_json(json_extract_string(entry, '$.type')) as varchar) || ',"value":'
            || cast(to_json(case
                when json_type(entry, '$.id') = 'VARCHAR' then json_extract_string(entry, '$.id')
                else {{ cdp.whole_number("json_extract_string(entry, '$.id')") }}
            end) as varchar) || '}'
        ),
        ','
    ), '') end
{%- endmacro %}

{# Whether context.externalIds (JSON text) holds what external_identifiers cannot read: no array, an entry that is no object, an
   id that is an array, an object or a boolean. #}
{% macro unreadable_externals(expression) -%}
    {{ return(adapter.dispatch('unreadable_externals', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__unreadable_externals(expression) -%}
    {{ cdp.not_on_this_engine('unreadable_externals') }}
{%- endmacro %}

{% macro duckdb__unreadable_externals(expression) -%}
    case
        when {{ expression }} is null then false
        when {{ cdp.holds_array(expression) }} then len(list_filter(
            cast(json_extract({{ expression }}, '$[*]') as varchar[]),
            lambda entry: json_type(entry) <> 'OBJECT' or json_type(entry, '$.id') in ('OBJECT', 'ARRAY', 'BOOLEAN')
        )) > 0
        else true
    end
{%- endmacro %}

{# context.consent.categoryPreferences (JSON text), {purpose: true or false}, as a JSON array of {regulation, purpose, state}. #}
{% macro preferences_as_consents(expression, regulation) -%}
    {{ return(adapter.dispatch('preferences_as_consents', 'cdp')(expression, regulation)) }}
{%- endmacro %}

{% macro default__preferences_as_consents(expression, regulation) -%}
    {{ cdp.not_on_this_engine('preferences_as_consents') }}
{%- endmacro %}

{% macro duckdb__preferences_as_consents(expression, regulation) -%}
    case when {{ cdp.holds_object(expression) }} then nullif('[' || array_to_string(
        list_transform(
            list_filter(
                list_zip(json_keys({{ expression }}), cast(json_extract({{ expression }}, '$.*') as varchar[])),
                lambda answer: answer[2] in ('true', 'false', '"true"', '"false"')
            ),
            lambda answer: '{"regulation":"{{ regulation }}","purpose":' || cast(to_json(answer[1]) as varchar)
            || ',"state":"' || case when answer[2] in ('true', '"true"') then 'granted' else 'denied' end || '"}'
        ),
        ','
    ) || ']', '[]') end
{%- endmacro %}
