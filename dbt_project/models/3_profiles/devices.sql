-- The devices of each person: when they were seen, what they are, and by which ids they go. Of each
-- fact the latest word counts (of two at one moment the greater in order of letters). One row per
-- (profile, device).
{% set facts = [
    'device_id', 'advertising_id', 'push_token', 'type', 'manufacturer', 'model', 'is_tracked'
] %}

{% set seen_facts, places = [], [] %}
{% for fact in facts %}
{% do seen_facts.append('seen.' ~ fact) %}
{% do places.append(
    'row_number() over (partition by profile_id, device order by case when ' ~ fact
    ~ ' is null then 1 else 0 end, last_seen_at desc, ' ~ fact ~ ' desc) as ' ~ fact ~ '_place'
) %}
{% endfor %}

-- A device says the same of itself with every message.
with sightings as (
    select
        set_owners.profile_id,
        seen.device,
        {{ seen_facts | join(', ') }},
        min(seen.occurred_at) as first_seen_at,
        max(seen.occurred_at) as last_seen_at
    from {{ ref('device_sightings') }} as seen
    inner join {{ ref('set_owners') }} as set_owners on set_owners.identifiers = seen.owner_key
    where set_owners.profile_id is not null
    group by set_owners.profile_id, seen.device, {{ seen_facts | join(', ') }}
),

ranked as (
    select
        *,
        {{ places | join(', ') }}
    from sightings
)

select
    profile_id,
    device,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    {% for fact in facts if fact != 'is_tracked' -%}
    max(case when {{ fact }}_place = 1 then {{ fact }} end) as {{ fact }},
    {% endfor -%}
    max(
        case
            when is_tracked_place = 1 and is_tracked then 1
            when is_tracked_place = 1 and not is_tracked then 0
        end
    ) = 1 as is_tracked
from ranked
group by profile_id, device
