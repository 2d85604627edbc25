{# PostgreSQL 15 and later. What plain SQL cannot say (a cast that gives null where it fails, RFC 7396) is a function in the
   schema of landed tables, made before each build.

   Text that comes in, and text that is read out of JSON, has the collation "C", and what is derived from it has it, too:
   order and comparison are by bytes, as on every other engine, whatever the database's own collation is. #}

{% macro postgres__hash64(expression) -%}
    landing.hash64({{ expression }})
{%- endmacro %}

{% macro postgres__explode_identifiers(relation, keep) -%}
select
    {% for name in keep %}listed.{{ name }}, {% endfor %}
    json_array_length(cast(listed.identifiers as json)) as item_count,
    entries.place - 1 as place,
    (entries.entry ->> 'type') collate "C" as identifier_type,
    (entries.entry ->> 'value') collate "C" as value_as_given,
    {{ cdp.identifiers_are_plain('listed.identifiers') }} as is_plain
from {{ relation }} as listed
cross join lateral json_array_elements(cast(listed.identifiers as json)) with ordinality as entries (entry, place)
{%- endmacro %}

{# The loader keeps a record's canonical JSON only where it differs from the record as it came. #}
{% macro postgres__landed_document() -%}
    case when _error is null then cast(coalesce(_document, _payload) as json) end
{%- endmacro %}

{% macro postgres__as_document(expression) -%}
    cast({{ expression }} as json)
{%- endmacro %}

{# One parse per record: the top-level fields come from json_to_record, deeper ones out of those. #}
{% macro postgres__with_json_fields(source_sql, column, fields, raw) -%}
{%- set tops = [] -%}
{%- for path in fields.values() if path[0] not in tops -%}{%- do tops.append(path[0]) -%}{%- endfor -%}
select
    records.*,
    {% for name, path in fields.items() -%}
    {% if name in raw -%}
    {{ cdp.postgres_raw('(parsed.' ~ adapter.quote(path[0] | replace('"', '""')) ~ ' #> ' ~ cdp.postgres_path(path[1:]) ~ ')') }} as {{ name }}{{ ',' if not loop.last }}
    {%- else -%}
    (parsed.{{ adapter.quote(path[0] | replace('"', '""')) }} #>> {{ cdp.postgres_path(path[1:]) }}) collate "C" as {{ name }}{{ ',' if not loop.last }}
    {%- endif %}
    {% endfor %}
from {{ source_sql }} as records
cross join lateral json_to_record(
    case when json_typeof(records.{{ column }}) = 'object' then records.{{ column }} else '{}' end
) as parsed ({% for top in tops %}{{ adapter.quote(top | string | replace('"', '""')) }} json{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{# json_to_record spells the escapes of a text its own way. #}
{% macro postgres_raw(value) -%}
    (case json_typeof({{ value }})
        when 'string' then landing.json_quote({{ value }} #>> cast('{}' as text[]))
        when 'null' then null
        else cast({{ value }} as text)
    end) collate "C"
{%- endmacro %}

{# The record is taken apart once, and each part tells its own kind. (Layers of subqueries would be made one by the planner, which
   repeats an expression wherever it is used.) #}
{% macro postgres__with_fields(source_sql, column, fields, words, scalars, raw, faults, more_faults) -%}
{%- set tops, told = [], [] -%}
{%- for path in fields.values() if path[0] not in tops -%}{%- do tops.append(path[0]) -%}{%- endfor -%}
select
    records.*,
    {% for name, path in fields.items() -%}
    {%- set value = 'parsed.' ~ adapter.quote(path[0] | replace('"', '""')) -%}
    {%- if path | length > 1 -%}{%- set value = '(' ~ value ~ ' #> ' ~ cdp.postgres_path(path[1:]) ~ ')' -%}{%- endif -%}
    {%- set text = '(' ~ value ~ " #>> cast('{}' as text[]))" -%}
    {%- set refused = "('array', 'object', 'boolean')" if name in words else "('array', 'object')" -%}
    {% if name in words + scalars -%}
    {%- do told.append(
        cdp.not_a_text_or_number(path, 'json_typeof(' ~ value ~ ') in ' ~ refused, 'cast(' ~ value ~ ' as text)')
    ) -%}
    (case
        when json_typeof({{ value }}) = 'number' then {{ cdp.whole_number(text) }}
        when json_typeof({{ value }}) not in {{ refused }} then {{ text }}
    end) collate "C" as {{ name }},
    {% elif name in raw -%}
    {{ cdp.postgres_raw(value) }} as {{ name }},
    {% else -%}
    {{ text }} collate "C" as {{ name }},
    {% endif %}
    {%- endfor %}
    {%- for column_name in more_faults -%}{%- do told.append(cdp.inner_faults('records.' ~ column_name)) -%}{%- endfor -%}
    nullif('[' || {{ cdp.join_parts(told) }} || ']', '[]') collate "C" as {{ faults }}
from {{ source_sql }} as records
cross join lateral json_to_record(
    case when json_typeof(records.{{ column }}) = 'object' then records.{{ column }} else '{}' end
) as parsed ({% for top in tops %}{{ adapter.quote(top | string | replace('"', '""')) }} json{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro postgres_path(path) -%}
    cast('{{ '{' }}{% for key in path %}"{{ cdp.path_key(key | string) | replace("'", "''") }}"{{ ',' if not loop.last }}{% endfor %}{{ '}' }}' as text[])
{%- endmacro %}

{% macro postgres__json_text(expression, path) -%}
    (cast({{ expression }} as json) #>> {{ cdp.postgres_path(path) }}) collate "C"
{%- endmacro %}

{% macro postgres__json_value(expression, path) -%}
    nullif(cast(cast({{ expression }} as json) #> {{ cdp.postgres_path(path) }} as text), 'null') collate "C"
{%- endmacro %}

{% macro postgres__json_scalar(expression) -%}
    (cast({{ expression }} as json) #>> cast('{}' as text[])) collate "C"
{%- endmacro %}

{% macro postgres__json_kind(expression) -%}
    landing.json_kind({{ expression }})
{%- endmacro %}

{% macro postgres__explode_object(relation, keep, column) -%}
select
    {% for name in keep %}objects.{{ name }}, {% endfor %}
    entries.entry_key collate "C" as entry_key,
    cast(entries.entry_value as text) collate "C" as entry_value
from {{ relation }} as objects
cross join lateral json_each(cast(objects.{{ column }} as json)) as entries (entry_key, entry_value)
{%- endmacro %}

{% macro postgres__explode_array(relation, keep, column) -%}
select
    {% for name in keep %}arrays.{{ name }}, {% endfor %}
    elements.place - 1 as item_no,
    cast(elements.element as text) collate "C" as item
from {{ relation }} as arrays
cross join lateral json_array_elements(
    case when landing.json_kind(arrays.{{ column }}) = 'array' then cast(arrays.{{ column }} as json) end
) with ordinality as elements (element, place)
{%- endmacro %}

{% macro postgres__any_item(expression, condition) -%}
    exists (
        select 1
        from (
            select element collate "C" as item
            from json_array_elements_text(
                case when {{ cdp.holds_array(expression) }} then cast({{ expression }} as json) end
            ) as elements (element)
        ) as items
        where {{ condition }}
    )
{%- endmacro %}

{% macro postgres__item_count(expression) -%}
    json_array_length(case when {{ cdp.holds_array(expression) }} then cast({{ expression }} as json) end)
{%- endmacro %}

{% macro postgres__json_quote(expression) -%}
    landing.json_quote({{ expression }})
{%- endmacro %}

{% macro postgres__json_merge(base, overriding) -%}
    coalesce(
        cast(landing.json_merge(cast({{ base }} as json), cast({{ overriding }} as json)) as text) collate "C",
        {{ overriding }}, {{ base }}
    )
{%- endmacro %}

{% macro postgres__external_identifiers(expression) -%}
    (
        select string_agg(
            '{"type":' || landing.json_quote(entry ->> 'type') || ',"value":' || landing.json_quote(case
                when json_typeof(entry -> 'id') = 'string' then entry ->> 'id'
                else {{ cdp.whole_number("entry ->> 'id'") }}
            end) || '}',
            ',' order by place
        ) collate "C"
        from json_array_elements(
            case when {{ cdp.holds_array(expression) }} then cast({{ expression }} as json) end
        ) with ordinality as entries (entry, place)
        where
            json_typeof(entry) = 'object'
            and {{ cdp.has_text("(entry ->> 'type')") }}
            and coalesce(entry ->> 'collection', 'users') = 'users'
            and {{ cdp.has_text("(entry ->> 'id')") }}
            and json_typeof(entry -> 'type') in ('string', 'number')
            and json_typeof(entry -> 'id') in ('string', 'number')
    )
{%- endmacro %}

{% macro postgres__unreadable_externals(expression) -%}
    case
        when {{ expression }} is null then false
        when {{ cdp.holds_array(expression) }} then exists (
            select 1
            from json_array_elements(
                case when {{ cdp.holds_array(expression) }} then cast({{ expression }} as json) end
            ) as entries (entry)
            where json_typeof(entry) <> 'object' or json_typeof(entry -> 'id') in ('object', 'array', 'boolean')
        )
        else true
    end
{%- endmacro %}

{% macro postgres__preferences_as_consents(expression, regulation) -%}
    (
        select '[' || string_agg(
            '{"regulation":"{{ regulation }}","purpose":' || landing.json_quote(purpose) || ',"state":"'
            || case when answer = 'true' then 'granted' else 'denied' end || '"}',
            ',' order by place
        ) || ']' collate "C"
        from json_each_text(
            case when {{ cdp.holds_object(expression) }} then cast({{ expression }} as json) end
        ) with ordinality as answers (purpose, answer, place)
        where answer in ('true', 'false')
    )
{%- endmacro %}

{% macro postgres__to_money(expression) -%}
    landing.try_money(cast({{ expression }} as text))
{%- endmacro %}

{% macro postgres__to_type(expression, type) -%}
    landing.try_{{ type }}({{ expression }})
{%- endmacro %}

{% macro postgres__to_utc(expression, timezone) -%}
    landing.try_utc({{ cdp.spelled_text(expression) }}, '{{ timezone }}')
{%- endmacro %}

{# What to_utc is made of elsewhere; here the function does it all. #}
{% macro postgres__moment_of_epoch(micros) -%}
    (timestamp 'epoch' + interval '1 microsecond' * {{ micros }})
{%- endmacro %}

{% macro postgres__utc_of_local(moment, timezone) -%}
    ({{ moment }} at time zone '{{ timezone }}') at time zone 'UTC'
{%- endmacro %}

{% macro postgres__scratch(name) -%}
    {{ return(('_' ~ this.identifier ~ '__' ~ name)[:63]) }}
{%- endmacro %}

{# One table per name, emptied and filled anew: a transaction keeps a lock for every table that it drops and makes, and a
   long loop would run out of them. Statistics at once: the planner would take a new table for a small one. #}
{% macro postgres__filled(table, sql) -%}
    {{ return([
        'create temp table if not exists ' ~ table ~ ' as ' ~ sql ~ ' with no data', 'truncate ' ~ table,
        'insert into ' ~ table ~ ' ' ~ sql, 'analyze ' ~ table,
    ]) }}
{%- endmacro %}

{% macro postgres__run_all(statements) -%}
    {{ return(cdp.scalar(statements | join(';\n'))) }}
{%- endmacro %}

{# Compiling the expressions that read a record takes many times as long as running them. #}
{% macro postgres__unhurried() -%}
    set jit = off
{%- endmacro %}

{% macro postgres__settled() -%}
    {%- if model.config.materialized not in ('view', 'ephemeral') -%}analyze {{ this }}{%- endif -%}
{%- endmacro %}

{# The tables are filled by `cdp load` (a part of every `cdp run`): COPY, each landed file once. #}
{% macro postgres__open_landing() %}
    {% if not adapter.check_schema_exists(target.database, 'landing') %}{% do run_query('create schema landing') %}{% endif %}
    {% do run_query(cdp.postgres_functions()) %}
    {% for node in graph.sources.values() %}
        {% if not adapter.get_relation(target.database, node.schema, node.identifier) %}
            {% do exceptions.raise_compiler_error(
                'The table ' ~ node.schema ~ '.' ~ node.identifier ~ ' is not in the database ' ~ target.database
                ~ ' yet. What landed is brought there by `cdp load` (a part of `cdp run`): run that first.'
            ) %}
        {% endif %}
    {% endfor %}
{% endmacro %}
