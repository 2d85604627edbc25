-- Visits in the last 30 days: page, screen and track messages of one person that follow each other
-- within 30 minutes are one session. One row per person with a session.
with activity as (
    select
        profile_id,
        occurred_at,
        lag(occurred_at) over (partition by profile_id order by occurred_at) as previous_at
    from {{ ref('events') }}
    where
        profile_id is not null
        and type in ('page', 'screen', 'track')
        and source in ({{ string_literals(var('visit_sources')) }})
        and {{ happened('occurred_at', last_days=30) }}
)

select
    profile_id,
    cast(count(*) as {{ dbt.type_bigint() }}) as sessions_30d
from activity
where previous_at is null or occurred_at > {{ plus('previous_at', seconds=1800) }}
group by profile_id
