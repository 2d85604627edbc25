-- When a person last did something themselves; mail that we sent does not count.
-- One row per person with activity.
select
    profile_id,
    max(occurred_at) as last_seen_at
from {{ ref('events') }}
where
    profile_id is not null
    and coalesce(event_name, '') <> 'Email Delivered'
    and {{ happened('occurred_at') }}
group by profile_id
