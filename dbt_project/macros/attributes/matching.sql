{# The events that an attribute is made of, and the window that it looks at. docs/attributes.md has
   the kinds, with examples. What every kind takes besides its own arguments:

   types: ['page', …], the types of messages; where: [(property, operator, value), …]; one window
   (last_days, last_hours, since, between_days; left out: all time); as: the name of the column
   (left out: the model's); keep_emptied=false: no row for whom the window emptied. #}

{# A row for each event of a known person up to as_of: profile_id, arrival, and, null for an event
   outside of the window, `happened_at` and `value` (the property). Events before the window stay
   because their person has a row, an emptied one. `keys`: more properties, as key_1 and so on. #}
{% macro matching_events(kind, event, property, keys, options) -%}
{%- set seen = cdp.window(kind, options) -%}
{%- set emptied = seen and options.get('keep_emptied') is not false -%}
{%- set opening = 'case when ' ~ seen ~ ' then ' if emptied else '' -%}
{%- set ending = ' end' if emptied else '' -%}
select
    events.profile_id,
    events.arrival,
    {{ opening }}events.occurred_at{{ ending }} as happened_at
    {%- if property %},
    {{ opening }}events.{{ cdp.column_name(property) }}{{ ending }} as value
    {%- endif %}
    {%- for key in keys %},
    {{ opening }}events.{{ cdp.column_name(key) }}{{ ending }} as key_{{ loop.index }}
    {%- endfor %}
from {{ ref('events') }} as events
where
    events.profile_id is not null
    and {{ cdp.happened('events.occurred_at') }}
    {%- if seen and not emptied %}
    and {{ seen }}
    {%- endif %}
    {%- if event %}
    and events.event_name in ({{ cdp.string_literals(event) }})
    {%- endif %}
    {%- if options.get('types') %}
    and events.type in ({{ cdp.string_literals(options['types']) }})
    {%- endif %}
    {%- if options.get('sources') %}
    and events.source in ({{ cdp.string_literals(options['sources']) }})
    {%- endif %}
    {%- if options.get('where') %}
    and {{ cdp.conditions(options['where'], 'events') }}
    {%- endif %}
{%- endmacro %}

{# The same, of a call that makes sense, and what its column is called: {events, column, type}.
   `types`: the types of property that fit the kind; `more`: options that this kind alone has;
   `part`: of a kind with a kept_part, {} or {period_days: how long it stays}. #}
{% macro matching(
    kind, event, options, property=none, types=[], keys=[], more=[], part=none
) -%}
    {%- set known = ['types', 'where', 'as', 'keep_emptied'] + cdp.windows() + more -%}
    {%- for option in options if option not in known -%}
        {%- do cdp.refuse_attribute(
            kind, option ~ ' is no argument; there are ' ~ known | join(', ') ~ '.'
        ) -%}
    {%- endfor -%}
    {%- set event = [event] if event is string else event or [] -%}
    {%- set options = dict(options) -%}
    {%- for name in ['types'] + more if options.get(name) is string -%}
        {%- do options.update({name: [options[name]]}) -%}
    {%- endfor -%}
    {%- set of_types = options.get('types') or [] -%}
    {%- if event | reject('string') | list or '' in event or not (event or of_types) -%}
        {%- do cdp.refuse_attribute(
            kind,
            'event is ' ~ event ~ "; write a name ('Order Completed'), a list of names, or "
            ~ "types=['page'] for all messages of a type."
        ) -%}
    {%- endif -%}
    {%- set messages = ['identify', 'track', 'page', 'screen', 'group', 'alias'] -%}
    {%- if of_types | reject('in', messages) | list -%}
        {%- do cdp.refuse_attribute(
            kind, 'types is ' ~ of_types ~ '; a message is one of ' ~ messages | join(', ') ~ '.'
        ) -%}
    {%- endif -%}
    {%- set type = cdp.fitting_type(kind, 'property', property, types) if types else none -%}
    {%- for key in keys -%}
        {%- do cdp.fitting_type(kind, 'by', key, cdp.key_types()) -%}
    {%- endfor -%}
    {%- set events = cdp.matching_events(kind, event, property if types else none, keys, options) -%}
    {%- set column = cdp.attribute_column(kind, options) -%}
    {%- do cdp.recompute_by_itself(kind, event, of_types, options, column, events, part) -%}
    {{ return({'events': events, 'column': column, 'type': type}) }}
{%- endmacro %}

{# The type of a property; stops where nobody declared it, or where its type does not fit. #}
{% macro fitting_type(kind, field, property, types) -%}
    {%- set declared = cdp.event_column_types() -%}
    {%- if property not in declared -%}
        {%- do cdp.refuse_attribute(
            kind,
            field ~ (' ' ~ property ~ ' is not declared' if property else ' is missing')
            ~ '; there are ' ~ declared | sort | join(', ') ~ '. Declare it in dbt_project.yml: '
            ~ 'vars.catalogue.properties, or correct the name.'
        ) -%}
    {%- elif declared[property] not in types -%}
        {%- do cdp.refuse_attribute(
            kind,
            field ~ ' ' ~ property ~ ' is of type ' ~ declared[property] ~ '; this needs one of '
            ~ types | join(', ') ~ '. Choose another property, or change its type in '
            ~ 'dbt_project.yml: vars.catalogue.properties.'
        ) -%}
    {%- endif -%}
    {{ return(declared[property]) }}
{%- endmacro %}

{# What has a sum; what has a smallest and a largest; what has one spelling in JSON on every engine;
   what is not put together of parts. #}
{% macro number_types() -%}{{ return(['number', 'money', 'integer']) }}{%- endmacro %}

{% macro ordered_types() -%}{{ return(['number', 'money', 'integer', 'date', 'timestamp']) }}{%- endmacro %}

{% macro key_types() -%}{{ return(['text', 'email', 'phone', 'integer']) }}{%- endmacro %}

{% macro scalar_types() -%}
    {{ return(cdp.property_types() | reject('in', ['list', 'map', 'tag']) | list) }}
{%- endmacro %}

{% macro windows() -%}
    {{ return(['last_days', 'last_hours', 'since', 'between_days']) }}
{%- endmacro %}

{# The condition under which an event up to as_of is in the window; none for all time. #}
{% macro window(kind, options) -%}
    {%- set given = [] -%}
    {%- for name in cdp.windows() if options.get(name) is not none -%}
        {%- do given.append(name) -%}
    {%- endfor -%}
    {%- if given | length > 1 -%}
        {%- do cdp.refuse_attribute(
            kind,
            given | join(' and ') ~ ' are two windows; keep one of them. (between_days=(90, 30) is '
            ~ 'a window with two ends.)'
        ) -%}
    {%- elif not given -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set name, value = given[0], options[given[0]] -%}
    {%- if name in ('last_days', 'last_hours') -%}
        {%- if value is not integer or value < 1 -%}
            {%- do cdp.refuse_attribute(
                kind,
                name ~ ' is ' ~ value ~ '; write a whole number from 1, or leave it out for all '
                ~ 'time.'
            ) -%}
        {%- endif -%}
        {%- set days, hours = (value, 0) if name == 'last_days' else (0, value) -%}
        {{ return('events.occurred_at > ' ~ cdp.as_of_minus(days=days, hours=hours)) }}
    {%- elif name == 'between_days' -%}
        {%- set ends = value if value is sequence and value is not string else [] -%}
        {%- if ends | length != 2 or ends | reject('integer') | list
            or ends[1] < 0 or ends[0] <= ends[1] -%}
            {%- do cdp.refuse_attribute(
                kind,
                'between_days is ' ~ value ~ '; write two whole numbers of days before as_of, the '
                ~ 'earlier end first: between_days=(90, 30).'
            ) -%}
        {%- endif -%}
        {{ return(
            'events.occurred_at > ' ~ cdp.as_of_minus(days=ends[0])
            ~ ' and events.occurred_at <= ' ~ cdp.as_of_minus(days=ends[1])
        ) }}
    {%- else -%}
        {%- set day = '(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)'
            ~ '|02-(0[1-9]|1\\d|2[0-8])' -%}
        {%- set time = '([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d)?' -%}
        {%- set moment = '^(19|2[01])\\d\\d-(' ~ day ~ ')([T ]' ~ time ~ ')?$' -%}
        {%- if not modules.re.match(moment, value | string) -%}
            {%- do cdp.refuse_attribute(
                kind,
                'since is ' ~ value ~ "; write a day or a moment in UTC: since='2026-01-31' or "
                ~ "since='2026-01-31 10:00'."
            ) -%}
        {%- endif -%}
        {{ return('events.occurred_at >= ' ~ cdp.timestamp_literal(value)) }}
    {%- endif -%}
{%- endmacro %}

{# The value's column: `as`, or the name of the model; in a unit test that of the tested one. #}
{% macro attribute_column(kind, options) -%}
    {%- set column = options.get('as') or cdp.attribute_name() -%}
    {%- if column | lower == 'profile_id'
        or not modules.re.match('^[A-Za-z_][A-Za-z0-9_]*$', column) -%}
        {%- do cdp.refuse_attribute(
            kind,
            'the column cannot be called ' ~ column ~ ": write as='a_name' of letters, digits and "
            ~ 'underscores.'
        ) -%}
    {%- elif column | lower in cdp.catalogue_traits() | map('lower') -%}
        {%- do cdp.refuse_attribute(
            kind,
            'its column ' ~ column ~ ' has the name of a trait: whoever reads both would take one for '
            ~ "the other. Rename the model, or write as='" ~ column ~ "_of_events'."
        ) -%}
    {%- endif -%}
    {{ return(column) }}
{%- endmacro %}

{% macro attribute_name() -%}
    {%- set tested = model.get('tested_node_unique_id') -%}
    {{ return(tested.split('.')[2] if tested else model['name']) }}
{%- endmacro %}

{# Stops with the file, the call and the remedy. #}
{% macro refuse_attribute(kind, told) -%}
    {{ exceptions.raise_compiler_error(model['original_file_path'] ~ ': ' ~ kind ~ ': ' ~ told) }}
{%- endmacro %}

{# A whole number from 1 that a kind is told, or its refusal. #}
{% macro whole_from_one(kind, name, value) -%}
    {%- if value is not integer or value < 1 -%}
        {%- do cdp.refuse_attribute(
            kind, name ~ ' is ' ~ value ~ '; write a whole number from 1.'
        ) -%}
    {%- endif -%}
    {{ return(value) }}
{%- endmacro %}
