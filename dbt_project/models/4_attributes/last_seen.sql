-- When a person last did something themselves; mail that we sent does not count.
-- One row per person with activity.
{{ last_time_of(
    types=['identify', 'track', 'page', 'screen', 'group', 'alias'],
    where=[('event_name', 'not_equals', 'Email Delivered', {'case_sensitive': true})],
    as='last_seen_at',
) }}
