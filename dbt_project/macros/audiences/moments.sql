{# When a person did something for the first or the last time: last_performed('Order Completed',
   'before_last', 60) has who ordered last 60 days ago or earlier. The operators are those of a
   moment; who never did it has none, and so meets a condition that says "not", unless
   missing_matches_negative=false. What happens after the build's as_of does not count. #}

{% macro first_performed(
    event, operator, value=none, where=[], type='track', missing_matches_negative=true,
    people='people'
) -%}
    {{ cdp.moment_performed(
        'first_performed', 'min', event, operator, value, where, type, missing_matches_negative,
        people
    ) }}
{%- endmacro %}

{% macro last_performed(
    event, operator, value=none, where=[], type='track', missing_matches_negative=true,
    people='people'
) -%}
    {{ cdp.moment_performed(
        'last_performed', 'max', event, operator, value, where, type, missing_matches_negative,
        people
    ) }}
{%- endmacro %}

{% macro moment_performed(
    kind, function, event, operator, value, where, type, missing_matches_negative, people
) -%}
    {%- set field = kind ~ ' ' ~ event -%}
    {%- set name = cdp.known_operator(field, 'timestamp', 'time', operator) -%}
    {%- set without = name == 'not_exists'
        or (name.startswith('not_') and missing_matches_negative) -%}
    {%- set holds = cdp.typed_condition(
        field, function ~ '(events.occurred_at)', 'timestamp', operator, value,
        missing_matches_negative=false
    ) | trim -%}
    {{ people }}.profile_id {{ 'not in' if without else 'in' }} (
        select events.profile_id
        from {{ ref('events') }} as events
        where
            events.profile_id is not null
            and {{ cdp.is_event((event, where), type) }}
            and {{ cdp.event_window(field, all_time=true) }}
        group by events.profile_id
        having {{ 'not (' if without }}{{ holds }}{{ ')' if without }}
    )
{%- endmacro %}
