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
        'properties', 'arrival',
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

{# What is of another type than the catalogue says, as a list of faults without brackets; null where
   nothing is. `money_is_judged`: where amounts of money have been judged already; `place`: what stands
   before the names of fields. #}
{% macro wrong_types(properties, money_is_judged='1 = 0', place='properties.') -%}
    {%- set parts = [] -%}
    {%- for property in properties.values() -%}
        {%- set number = loop.index -%}
        {%- if property['type'] != 'tag' -%}
            {%- set field -%}
                case
                    {%- for path in property['from'] %}
                    when said_{{ number }}_{{ loop.index }} is not null
                        then {{ cdp.text_literal(place ~ path | join('.')) }}
                    {%- endfor %}
                end
            {%- endset -%}
            {%- do parts.append(
                "case when typed_" ~ number ~ " is null and (text_" ~ number ~ " is not null or value_" ~ number
                ~ " like '[%' or value_" ~ number ~ " like '{' || '%')"
                ~ (' and not (' ~ money_is_judged ~ ')' if property['type'] == 'money' else '') ~ " then '{\"field\":' || " ~ cdp.json_quote(field)
                ~ " || ',\"reason\":\"wrong_type\",\"detail\":' || " ~ cdp.json_quote('value_' ~ number) ~ " || '}' end"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ cdp.join_parts(parts) if parts else 'cast(null as ' ~ dbt.type_string() ~ ')' }}
{%- endmacro %}

{% macro is_whole_number(text) -%}
    {{ cdp.matches_pattern(text, '^[-+]?[0-9]{1,18}([.]0+)?$') }}
{%- endmacro %}
