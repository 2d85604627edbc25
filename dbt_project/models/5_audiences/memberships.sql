-- Stays in audiences, with entry and exit. One row per stay; exited_at is null for a member of today.
{{ config(materialized='view') }}

with ordered as (
    select
        audience,
        profile_id,
        change,
        {{ column_name('at') }} as changed_at,
        lead({{ column_name('at') }}) over (
            partition by audience, profile_id
            order by {{ column_name('at') }}, case when change = 'entered' then 1 else 0 end
        ) as next_at
    from {{ ref('changes') }}
)

select
    audience,
    profile_id,
    changed_at as entered_at,
    next_at as exited_at
from ordered
where change = 'entered'
