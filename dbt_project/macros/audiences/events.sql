{# What an audience says of what a person did: conditions on the row `people` of profiles.profiles,
   each one scan of profiles.events. An event is the name of a track message, letter for letter, or
   several; with conditions on its properties where a helper takes pairs: ('Product Added',
   [('price', '>', 100)]).

   The window, of 24-hour days before the build's as_of, is one of last_days=30 (this one, where
   nothing is said), last_hours=12, between_days=(30, 90) (from 30 to 90 days ago),
   since='2026-01-01', all_time=true. What happens after as_of is in none. #}

{# Whether a person did something, once or as often as `times` says: performed('Product Added',
   where=[('price', '>', 100)], times=('>=', 3), last_days=7). `type`: page or screen for the names
   of those. #}
{% macro performed(
    event, where=[], times=('>=', 1), last_days=none, last_hours=none, since=none,
    between_days=none, all_time=false, type='track', people='people'
) -%}
    {%- set field = 'performed ' ~ event -%}
    {%- set operator, value = cdp.comparison_of(field, 'times', times) -%}
    {%- set without = cdp.zero_counts(field, operator, value) -%}
    {%- set window = cdp.event_window(
        field, last_days, last_hours, since, between_days, all_time
    ) -%}
    {%- set holds = cdp.typed_condition(field, 'count(*)', 'integer', operator, value) | trim -%}
    {{ people }}.profile_id {{ 'not in' if without else 'in' }} (
        select events.profile_id
        from {{ ref('events') }} as events
        where
            events.profile_id is not null
            and {{ cdp.is_event((event, where), type) }}
            and {{ window }}
        {%- if operator != '>=' or value != 1 %}
        group by events.profile_id
        having {{ 'not ' if without }}{{ holds }}
        {%- endif %}
    )
{%- endmacro %}

{# What a number of a person's events comes to: property_aggregate('Order Completed', 'total',
   'sum', '>=', 500, last_days=90). `how`: count (of events that say the property), unique_count,
   sum, avg, min, max. Who has no such event has a count of 0, and no sum. #}
{% macro property_aggregate(
    event, property, how, operator, value, where=[], last_days=none, last_hours=none, since=none,
    between_days=none, all_time=false, type='track', people='people'
) -%}
    {%- set field = 'property_aggregate of ' ~ event ~ ': ' ~ property -%}
    {%- set of_type = cdp.property_type(field, property) -%}
    {%- set column = 'events.' ~ cdp.column_name(property) -%}
    {%- set kind = cdp.kinds_of_types()[of_type] -%}
    {%- set kinds = {
        'count': [kind], 'unique_count': [kind], 'sum': ['number'], 'avg': ['number'],
        'min': ['number', 'time'], 'max': ['number', 'time'],
    } -%}
    {%- if how not in kinds or kind not in kinds[how] -%}
        {%- set fit = [] -%}
        {%- for each, of_kinds in kinds.items() if kind in of_kinds -%}
            {%- do fit.append(each) -%}
        {%- endfor -%}
        {{ cdp.refuse_condition(
            field, how ~ ' of a ' ~ of_type ~ ' is nothing; write one of ' ~ fit | join(', ')
        ) }}
    {%- endif -%}
    {%- set counts = how in ('count', 'unique_count') -%}
    {%- set made = 'count(distinct ' ~ column ~ ')' if how == 'unique_count'
        else how ~ '(' ~ column ~ ')' -%}
    {%- set without = counts and cdp.zero_counts(field, operator, value) -%}
    {%- set holds = cdp.typed_condition(
        field, made, 'integer' if counts else of_type, operator, value
    ) | trim -%}
    {{ people }}.profile_id {{ 'not in' if without else 'in' }} (
        select events.profile_id
        from {{ ref('events') }} as events
        where
            events.profile_id is not null
            and {{ cdp.is_event((event, where), type) }}
            and {{ cdp.event_window(field, last_days, last_hours, since, between_days, all_time) }}
        group by events.profile_id
        having {{ 'not ' if without }}{{ holds }}
    )
{%- endmacro %}

{# Whether a person did one thing after the other: performed_sequence(['Product Viewed', ('Product
   Added', [('price', '>', 100)])], within_hours=24). All steps lie in the window, and from the
   first to the last is no longer than `within`, where it is given. `strict`: with no other track
   message between. Of one moment, what arrived earlier was earlier. #}
{% macro performed_sequence(
    steps, within_days=none, within_hours=none, strict=false, last_days=none, last_hours=none,
    since=none, between_days=none, all_time=false, people='people'
) -%}
    {%- set field = 'performed_sequence' -%}
    {%- if steps is string or steps is mapping or steps is not sequence or steps | length < 2 -%}
        {{ cdp.refuse_condition(
            field,
            'steps is ' ~ steps ~ "; write two or more: ['Product Viewed', 'Product Added']"
        ) }}
    {%- endif -%}
    {%- set is_steps = [] -%}
    {%- for step in steps -%}
        {%- do is_steps.append('(' ~ cdp.is_event(step) ~ ')') -%}
    {%- endfor -%}
    {%- set window = cdp.event_window(
        field, last_days, last_hours, since, between_days, all_time
    ) -%}
    {%- set within = none if within_days is none and within_hours is none else cdp.hours_of(
        field, 'within', {'days': within_days} if within_hours is none else {'hours': within_hours}
    ) -%}
    {#- begun_n: the latest moment at which a chain began that this event ends as its step n. -#}
    {%- set chain = namespace() -%}
    {%- set chain.sql -%}
            select
                events.*,
                case when {{ is_steps[0] }} then events.occurred_at end as begun_1
            from {{ ref('events') }} as events
            where
                events.profile_id is not null
                and {{ "events.type = 'track'" if strict else '(' ~ is_steps | join(' or ') ~ ')' }}
                and {{ window }}
    {%- endset -%}
    {%- for is_step in is_steps[1:] -%}
        {%- set chain.sql -%}
            select
                events.*,
                case
                    when {{ is_step }}
                        then {{ 'lag' if strict else 'max' }}(begun_{{ loop.index }}) over (
                            partition by profile_id order by occurred_at, arrival
                            {%- if not strict %}
                            rows between unbounded preceding and 1 preceding
                            {%- endif %}
                        )
                end as begun_{{ loop.index + 1 }}
            from (
            {{ chain.sql }}
            ) as events
        {%- endset -%}
    {%- endfor -%}
    {%- set begun = 'chains.begun_' ~ steps | length -%}
    {{ people }}.profile_id in (
        select chains.profile_id
        from (
            {{ chain.sql }}
        ) as chains
        where
            {{ begun }} is not null
            {%- if within is not none %}
            and chains.occurred_at <= {{ cdp.plus(begun, hours=within) }}
            {%- endif %}
    )
{%- endmacro %}

{# Whether a person did two things with one value of a property: same_property('Product Viewed',
   'Product Added', 'destination'). `in_order`: the second not before the first. #}
{% macro same_property(
    event_a, event_b, property, in_order=false, last_days=none, last_hours=none, since=none,
    between_days=none, all_time=false, people='people'
) -%}
    {%- set field = 'same_property of ' ~ event_a ~ ' and ' ~ event_b ~ ': ' ~ property -%}
    {%- set of_type = cdp.property_type(field, property) -%}
    {%- set column = 'events.' ~ cdp.column_name(property) -%}
    {%- set is_text = cdp.kinds_of_types()[of_type] == 'text' -%}
    {%- set window = cdp.event_window(
        field, last_days, last_hours, since, between_days, all_time
    ) -%}
    {%- set first, second = cdp.is_event(event_a), cdp.is_event(event_b) -%}
    {%- if first == second -%}
        {{ cdp.refuse_condition(
            field,
            "these are one event: write two that differ, or performed_sequence(['X', 'X'])"
        ) }}
    {%- endif -%}
    {{ people }}.profile_id in (
        select pairs.profile_id
        from (
            select
                events.profile_id,
                {{ cdp.lower_text(column) if is_text else column }} as said,
                case when {{ first }} then events.occurred_at end as first_at,
                case when {{ second }} then events.occurred_at end as second_at
            from {{ ref('events') }} as events
            where
                events.profile_id is not null
                and (({{ first }}) or ({{ second }}))
                and {{ column }} is not null
                and {{ window }}
        ) as pairs
        group by pairs.profile_id, pairs.said
        having
            {%- if in_order %}
            min(pairs.first_at) <= max(pairs.second_at)
            {%- else %}
            count(pairs.first_at) > 0 and count(pairs.second_at) > 0
            {%- endif %}
    )
{%- endmacro %}

{# Whether a person began something in the last days and has not finished since: abandoned('Product
   Added', 'Order Completed', waits_hours=4, within_days=7). They have `waits_hours` time, from the
   last beginning on. `same`: a property that must be the same for the end to count: of the one
   trip that was ordered, not of all in the cart. #}
{% macro abandoned(
    event_started, event_done, waits_hours=1, within_days=7, same=none, people='people'
) -%}
    {%- set field = 'abandoned ' ~ event_started -%}
    {%- set waits = 0 if waits_hours == 0
        else cdp.hours_of(field, 'waits_hours', {'hours': waits_hours}) -%}
    {%- set started, done = cdp.is_event(event_started), cdp.is_event(event_done) -%}
    {%- set column = 'events.' ~ cdp.column_name(same) if same else none -%}
    {%- set is_text = same and cdp.kinds_of_types()[cdp.property_type(field, same)] == 'text' -%}
    {{ people }}.profile_id in (
        select begun.profile_id
        from (
            select
                events.profile_id,
                {%- if same %}
                {{ cdp.lower_text(column) if is_text else column }} as said,
                {%- endif %}
                case when {{ started }} then events.occurred_at end as started_at,
                case when {{ done }} then events.occurred_at end as done_at
            from {{ ref('events') }} as events
            where
                events.profile_id is not null
                and (({{ started }}) or ({{ done }}))
                and {{ cdp.event_window(field, within_days) }}
        ) as begun
        group by begun.profile_id{{ ', begun.said' if same }}
        having
            max(begun.started_at) <= {{ cdp.as_of_minus(hours=waits) }}
            and (max(begun.done_at) is null or max(begun.done_at) < max(begun.started_at))
    )
{%- endmacro %}

{# Whether the row `events` is of this event: a name, names, or (name or names, conditions on
   properties). #}
{% macro is_event(event, type='track') -%}
    {%- set pair = event is not string and event | length == 2 and (event[1] is not string) -%}
    {%- set names, where = (event[0], event[1]) if pair else (event, []) -%}
    {%- set names = cdp.values_of('event ' ~ names, 'an event', names) -%}
    {%- set named = '= ' ~ cdp.text_literal(names[0]) if names | length == 1
        else 'in (' ~ cdp.string_literals(names) ~ ')' -%}
    {{ return(
        'events.type = ' ~ cdp.text_literal(type) ~ ' and events.event_name ' ~ named
        ~ (' and ' ~ cdp.conditions(where) | trim if where else '')
    ) }}
{%- endmacro %}

{# When `events` happened: one window of those that the head of this file names. #}
{% macro event_window(
    field, last_days=none, last_hours=none, since=none, between_days=none, all_time=false
) -%}
    {%- set given = [] -%}
    {%- for each in (last_days, last_hours, since, between_days) if each is not none -%}
        {%- do given.append(each) -%}
    {%- endfor -%}
    {%- if given | length + (1 if all_time else 0) > 1 -%}
        {{ cdp.refuse_condition(
            field, 'there are several windows; write one of last_days, last_hours, since, '
            ~ 'between_days and all_time'
        ) }}
    {%- endif -%}
    {%- set moment = 'events.occurred_at' -%}
    {%- if all_time -%}
        {{ cdp.happened(moment) }}
    {%- elif since is not none -%}
        {{ moment }} >= {{ cdp.start_of(field ~ ': since', since) }} and {{ cdp.happened(moment) }}
    {%- elif between_days is not none -%}
        {%- if between_days is string or between_days is not sequence or between_days | length != 2
            or between_days | reject('integer') | list or between_days[0] < 0
            or between_days[0] >= between_days[1] -%}
            {{ cdp.refuse_condition(
                field, 'between_days is ' ~ between_days
                ~ '; write two whole numbers of days ago, the smaller one first: (30, 90)'
            ) }}
        {%- endif -%}
        {{ moment }} <= {{ cdp.as_of_minus(days=between_days[0]) }}
        and {{ moment }} > {{ cdp.as_of_minus(days=between_days[1]) }}
    {%- elif last_hours is not none -%}
        {%- set hours = cdp.hours_of(field, 'last_hours', {'hours': last_hours}) -%}
        {{ cdp.happened(moment, last_hours=hours) }}
    {%- else -%}
        {%- set hours = cdp.hours_of(field, 'last_days', 30 if last_days is none else last_days) -%}
        {{ cdp.happened(moment, last_hours=hours) }}
    {%- endif -%}
{%- endmacro %}

{# Whether a comparison of a count is true of who did nothing. #}
{% macro zero_counts(field, operator, value) -%}
    {%- set name = cdp.known_operator(field, 'integer', 'number', operator) -%}
    {%- if name in ('exists', 'not_exists') -%}
        {{ cdp.refuse_condition(
            field, "a count is always there; write a comparison, like ('>=', 3)"
        ) }}
    {%- endif -%}
    {%- set positive = name[4:] if name.startswith('not_') else name -%}
    {%- do cdp.number_condition(field, 'count(*)', positive, value) -%}
    {{ return(cdp.number_holds(0, name, value)) }}
{%- endmacro %}
