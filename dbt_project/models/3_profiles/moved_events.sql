-- All events of the people who moved since the build before, as far as attributes read them: people
-- with new events or other ones (has_news), and people of whom an event passed an end of a window
-- (passed_720h: 720 hours before as_of). One row per event, and one per person, without an event.
{{ config(materialized='intermediate', post_hook='{{ record_movement() }}') }}
-- depends_on: {{ ref('touched') }}
-- depends_on: {{ ref('calculated') }}
{% set moved = movement() %}
{% set ends = ends_of_windows() %}
{% set columns = ['arrival', 'occurred_at', 'event_name'] %}
{% set names = columns + ['profile_id'] %}
{% for attribute in recomputed_attributes() %}
{% for column in attribute.columns %}
{# A query may write a column with or without quotation marks. #}
{% set name = column | replace('"', '') | replace('`', '') %}
{% if name not in names %}
{% do columns.append(column) %}
{% do names.append(name) %}
{% endif %}
{% endfor %}
{% endfor %}

with passed as (
    {% if moved %}
    select
        profile_id,
        0 as passed_hours
    from {{ ref('touched') }}
    where profile_id is not null and write_no > {{ moved.write_no }}
    union all
    select
        events.profile_id,
        0 as passed_hours
    from {{ ref('events') }} as events
    where
        events.profile_id is not null
        and events.occurred_at > {{ timestamp_literal(moved.since) }}
        and events.occurred_at <= {{ timestamp_literal(moved.as_of) }}
    {% for hours, conditions in ends.items() %}
    union all
    select
        events.profile_id,
        {{ hours }} as passed_hours
    from {{ ref('events') }} as events
    where
        events.profile_id is not null
        and events.occurred_at > {{ plus(timestamp_literal(moved.since), hours=-hours) }}
        and events.occurred_at <= {{ plus(timestamp_literal(moved.as_of), hours=-hours) }}
        and (({{ conditions | join(') or (') }}))
    {% endfor %}
    {% else %}
    select
        profile_id,
        0 as passed_hours
    from {{ ref('events') }}
    where 1 = 0
    {% endif %}
),

people as (
    select
        {% for hours in ends %}
        max(case when passed_hours = {{ hours }} then 1 else 0 end) as passed_{{ hours }}h,
        {% endfor %}
        max(case when passed_hours = 0 then 1 else 0 end) as has_news,
        profile_id
    from passed
    group by profile_id
)

select
    people.*,
    events.{{ columns | join(', events.') }}
from people
inner join {{ ref('events') }} as events on events.profile_id = people.profile_id
union all
select
    people.*,
    nobody.{{ columns | join(', nobody.') }}
from people
left join {{ ref('events') }} as nobody
    on nobody.profile_id = people.profile_id and 1 = 0
-- Attributes ask by name.
order by event_name
