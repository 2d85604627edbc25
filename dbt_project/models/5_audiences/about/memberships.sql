-- Stays in audiences, with entry and exit. One row per stay; exited_at is null for a member of
-- today. Entries and exits take turns, so that the nth exit ends the nth stay, also where several
-- builds stand at one moment. A stay of no length is none. A stay is in one variant.
{{ config(materialized='view') }}

with numbered as (
    select
        audience,
        profile_id,
        variant,
        change,
        {{ column_name('at') }} as changed_at,
        row_number() over (
            partition by audience, profile_id, variant, change
            order by {{ column_name('at') }}
        ) as stay_no
    from {{ ref('changes') }}
)

select
    entries.audience,
    entries.profile_id,
    entries.variant,
    entries.changed_at as entered_at,
    exits.changed_at as exited_at
from numbered as entries
left join numbered as exits
    on
        exits.audience = entries.audience
        and exits.profile_id = entries.profile_id
        and {{ same_variant('exits', 'entries') }}
        and exits.stay_no = entries.stay_no
        and exits.change = 'exited'
where
    entries.change = 'entered'
    and (exits.changed_at is null or exits.changed_at > entries.changed_at)
