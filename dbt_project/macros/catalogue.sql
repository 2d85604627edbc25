{# The catalogue of event properties: vars: catalogue: properties. An entry is a type, or
   {type, from, pii, description}. (Traits: profiles.sql.) #}

{# What each type is in the warehouse. Money is an amount in whatever currency, also with its symbol
   and commas between thousands. A date is a timestamp at midnight; list and map are JSON text;
   a tag is there or not, whatever its value. #}
{% macro property_types() -%}
    {{ return({
        'text': dbt.type_string(), 'email': dbt.type_string(), 'phone': dbt.type_string(),
        'number': cdp.type_double(), 'money': cdp.type_double(), 'integer': dbt.type_bigint(), 'boolean': dbt.type_boolean(),
        'date': dbt.type_timestamp(), 'timestamp': dbt.type_timestamp(),
        'list': dbt.type_string(), 'map': dbt.type_string(), 'tag': dbt.type_boolean(),
    }) }}
{%- endmacro %}

{# The columns of profiles.events that no property may be called after. #}
{% macro fixed_event_columns() -%}
    {{ return([
        'message_id', 'profile_id', 'type', 'event_name', 'occurred_at', 'received_at', 'source',
        'properties', 'arrival', 'wrong_types',
    ]) }}
{%- endmacro %}

{# {name: {type, from: [path, …]}} of every declared property: `from` are the paths (lists of keys)
   under which senders say it, the first that is there counts. A dot leads into an object. #}
{% macro catalogue_properties() -%}
    {%- set properties, columns = {}, [] -%}
    {%- for name, entry in (var('catalogue').get('properties') or {}).items() -%}
        {%- set entry = {'type': entry} if entry is string else entry -%}
        {%- do cdp.refuse_property(name, entry, columns) -%}
        {%- do columns.append(name | lower) -%}
        {%- set paths = [] -%}
        {%- for path in entry.get('from') or [name] -%}{%- do paths.append(path.split('.')) -%}{%- endfor -%}
        {%- do properties.update({name: {'type': entry['type'], 'from': paths}}) -%}
    {%- endfor -%}
    {{ return(properties) }}
{%- endmacro %}

{# Stops with the file, the field and the remedy where an entry makes no sense. #}
{% macro refuse_property(name, entry, columns) -%}
    {%- set field = 'dbt_project.yml: vars.catalogue.properties: ' ~ name -%}
    {%- set types = cdp.property_types() | list -%}
    {%- if entry is not mapping or entry.get('type') not in types
        or entry.keys() | reject('in', ['type', 'from', 'pii', 'description']) | list
        or (entry.get('from') or []) is string -%}
        {{ exceptions.raise_compiler_error(
            field ~ ' is ' ~ entry ~ '; write a type (' ~ types | join(', ')
            ~ '), or {type: number, from: [key, object.key], pii: none, description: …}.'
        ) }}
    {%- endif -%}
    {%- if entry.get('pii', 'none') not in ['none', 'pii', 'special'] -%}
        {{ exceptions.raise_compiler_error(
            field ~ ': pii is ' ~ entry['pii'] ~ '; write none, pii or special.'
        ) }}
    {%- endif -%}
    {%- if not modules.re.match('^[A-Za-z_][A-Za-z0-9_]*$', name) -%}
        {{ exceptions.raise_compiler_error(
            field ~ ' is no name of a column: write letters, digits and underscores, and what senders '
            ~ "call it under `from` (order_value: {type: number, from: ['order value']})."
        ) }}
    {%- endif -%}
    {%- if name | lower in cdp.fixed_event_columns() -%}
        {{ exceptions.raise_compiler_error(
            field ~ ' is a column of profiles.events already: give the property another name and say '
            ~ '`from: [' ~ name ~ ']`.'
        ) }}
    {%- endif -%}
    {%- if name | lower in columns -%}
        {{ exceptions.raise_compiler_error(
            field ~ ' is there twice (letter case does not count in a warehouse): give one of them another name.'
        ) }}
    {%- endif -%}
{%- endmacro %}

{# {said_1_1: path} of every path of these properties: column names for what is read there. #}
{% macro property_paths(properties) -%}
    {%- set paths = {} -%}
    {%- for property in properties.values() -%}
        {%- set number = loop.index -%}
        {%- for path in property['from'] -%}
            {%- do paths.update({'said_' ~ number ~ '_' ~ loop.index: path}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(paths) }}
{%- endmacro %}

{# The rows of a relation with what `column` (a JSON object as text) says of each property, by their
   number in the catalogue: value_1 as JSON text, text_1 where it is a scalar that says something,
   typed_1 as the property's type (null where it is of another one). Each object is parsed once. #}
{% macro with_typed_properties(relation, column, properties) -%}
{%- set paths, times = cdp.property_paths(properties), {} -%}
{%- for property in properties.values() -%}
    {%- if property['type'] in ('date', 'timestamp') -%}
        {%- do times.update({'moment_' ~ loop.index: 'text_' ~ loop.index}) -%}
    {%- endif -%}
{%- endfor -%}
{%- set documents -%}
(
    select
        *,
        {{ cdp.as_document(column) }} as property_document
    from {{ relation }}
)
{%- endset -%}
{%- set texts -%}
(
    select
        *
        {%- for property in properties.values() %},
        case
            when value_{{ loop.index }} not like '{' || '%' and value_{{ loop.index }} not like '[%'
                then {{ cdp.not_blank(cdp.json_scalar('value_' ~ loop.index)) }}
        end as text_{{ loop.index }}
        {%- endfor %}
    from (
        select
            *
            {%- for property in properties.values() %},
            {%- set number = loop.index %}
            {%- set read = [] %}
            {%- for path in property['from'] %}
            {%- do read.append('said_' ~ number ~ '_' ~ loop.index) %}
            {%- endfor %}
            {{ read[0] if read | length == 1 else 'coalesce(' ~ read | join(', ') ~ ')' }} as value_{{ number }}
            {%- endfor %}
        from (
            {{ cdp.with_json_fields(documents, 'property_document', paths, raw=paths | list) }}
        ) as read_properties
    ) as valued_properties
)
{%- endset -%}
select
    *
    {%- for property in properties.values() %},
    {{ cdp.typed_property(loop.index, property['type']) }} as typed_{{ loop.index }}
    {%- endfor %}
from (
    {% if times -%}
    {{ cdp.with_times(texts, times) }}
    {%- else -%}
    select * from {{ texts }} as texts
    {%- endif %}
) as read_properties
{%- endmacro %}

{# A property as its type, from value_n, text_n and moment_n; null where it says nothing or is of
   another type. Numbers and booleans may come as texts. #}
{% macro typed_property(number, type) -%}
    {%- set value, text = 'value_' ~ number, 'text_' ~ number -%}
    {%- if type == 'text' -%}{{ text }}
    {%- elif type in ('email', 'phone') -%}{{ cdp.contact_value(type, text) }}
    {%- elif type == 'number' -%}
    case when {{ cdp.is_plain_number(text) }} then {{ cdp.to_type(text, 'double') }} end
    {%- elif type == 'money' -%}
    case
        when {{ cdp.is_plain_number(text) }} then {{ cdp.to_type(text, 'double') }}
        when {{ text }} <> '' then cast({{ cdp.money_amount(text) }} as {{ cdp.type_double() }})
    end
    {%- elif type == 'integer' -%}
    case when {{ cdp.is_whole_number(text) }} then {{ cdp.to_type(cdp.whole_number(text), 'bigint') }} end
    {%- elif type == 'boolean' -%}
    case
        when lower({{ text }}) in ('true', '1', 'yes') then true
        when lower({{ text }}) in ('false', '0', 'no') then false
    end
    {%- elif type == 'timestamp' -%}moment_{{ number }}
    {%- elif type == 'date' -%}
    cast({{ dbt.date_trunc('day', 'moment_' ~ number) }} as {{ dbt.type_timestamp() }})
    {%- elif type == 'list' -%}case when {{ value }} like '[%' then {{ value }} end
    {%- elif type == 'map' -%}case when {{ value }} like '{' || '%' then {{ value }} end
    {%- elif type == 'tag' -%}case when {{ value }} is not null then true end
    {%- endif -%}
{%- endmacro %}

{# What is of another type than the catalogue says, as a list of faults without brackets; null or ''
   where nothing is. `money_is_judged`: where staging has judged the amounts in `judged_amounts`
   (fields of a message) already, and told what is wrong with them; `place`: what stands before the
   names of fields. #}
{% macro wrong_types(properties, money_is_judged='1 = 0', judged_amounts=[], place='properties.') -%}
    {%- set parts = [] -%}
    {%- for property in properties.values() -%}
        {%- set number = loop.index -%}
        {%- set value, text, typed = 'value_' ~ number, 'text_' ~ number, 'typed_' ~ number -%}
        {%- set fields = [] -%}
        {%- for path in property['from'] -%}
            {%- do fields.append(place ~ path | join('.')) -%}
        {%- endfor -%}
        {%- if property['type'] != 'tag' -%}
            {%- set field -%}
                case
                    {%- for each in fields %}
                    when said_{{ number }}_{{ loop.index }} is not null
                        then {{ cdp.text_literal(each) }}
                    {%- endfor %}
                end
            {%- endset -%}
            {%- set wrong -%}
                {{ typed }} is null and (
                    {{ text }} is not null
                    or {{ cdp.holds_array(value) }}
                    or {{ cdp.holds_object(value) }}
                )
                {%- set judged = fields | select('in', judged_amounts) | list -%}
                {%- if property['type'] == 'money' and judged %}
                and not ({{ money_is_judged }} and {{ field }} in ({{ cdp.string_literals(judged) }}))
                {%- endif %}
            {%- endset -%}
            {%- do parts.append(
                'case when ' ~ wrong ~ " then '{\"field\":' || " ~ cdp.json_quote(field)
                ~ " || ',\"reason\":\"wrong_type\",\"detail\":' || " ~ cdp.json_quote(value)
                ~ " || '}' end"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ cdp.join_parts(parts) if parts else 'cast(null as ' ~ dbt.type_string() ~ ')' }}
{%- endmacro %}

{% macro is_whole_number(text) -%}
    {{ cdp.matches_pattern(text, '^[-+]?[0-9]{1,18}([.]0+)?$') }}
{%- endmacro %}

{# The entries of the objects in `column` that no path of the catalogue reads, with the `keep`
   columns: name, value (JSON text). `paths` are lists of keys. Of an object that a path leads into,
   the entries that are read nowhere are told by both keys; null says nothing. #}
{% macro undeclared_entries(relation, keep, column, paths) -%}
    {%- set whole, objects = [], {} -%}
    {%- for path in paths -%}
        {%- if path | length == 1 -%}{%- do whole.append(path[0]) -%}
        {%- else -%}{%- do objects.setdefault(path[0], []).append(path[1]) -%}{%- endif -%}
    {%- endfor -%}
    {%- set entries -%}
    (
        {{ cdp.explode_object(relation, keep, column) }}
    )
    {%- endset -%}
select
    {{ keep | join(', ') }},
    entry_key as name,
    entry_value as value
from {{ entries }} as entries
where
    entry_value <> 'null'
    {%- if whole %}
    and entry_key not in ({{ cdp.string_literals(whole) }})
    {%- endif %}
    {%- for key in objects %}
    and not (entry_key = {{ cdp.text_literal(key) }} and {{ cdp.holds_object('entry_value') }})
    {%- endfor %}
{%- for key, inner in objects.items() if key not in whole %}
union all
select
    {{ keep | join(', ') }},
    {{ cdp.text_literal(key ~ '.') }} || entry_key as name,
    entry_value as value
from (
    {{ cdp.explode_object(cdp.entries_of_object(entries, keep, key), keep, 'entry_value') }}
) as inner_entries
where entry_value <> 'null' and entry_key not in ({{ cdp.string_literals(inner) }})
{%- endfor %}
{%- endmacro %}

{% macro entries_of_object(entries, keep, key) -%}
(
    select
        {{ keep | join(', ') }},
        entry_value
    from {{ entries }} as entries
    where entry_key = {{ cdp.text_literal(key) }} and {{ cdp.holds_object('entry_value') }}
)
{%- endmacro %}
