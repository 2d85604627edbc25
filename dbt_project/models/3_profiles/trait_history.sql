-- What each trait was over time, as if it had been asked at each moment under today's rules, people
-- and clock. A row is a stay of one value: source and message_id are of the write that began it.
-- One row per (profile, trait, valid_from); valid_to is null where it still holds.
{{ config(materialized='view') }}

with writes as (
    {{ personal_writes() }}
),

states as (
    {{ trait_states('writes') }}
),

-- Of several states that began at one moment the last.
ordered as (
    select
        *,
        row_number() over (
            partition by profile_id, trait, changed_at
            order by arrival desc
        ) as place
    from states
),

compared as (
    select
        *,
        lag(value) over (partition by profile_id, trait order by changed_at) as earlier_value
    from ordered
    where place = 1
),

changes as (
    select
        *,
        lead(changed_at) over (partition by profile_id, trait order by changed_at) as valid_to
    from compared
    where
        value <> earlier_value
        or (value is null and earlier_value is not null)
        or (value is not null and earlier_value is null)
)

select
    profile_id,
    trait,
    value,
    source,
    changed_at as valid_from,
    valid_to,
    message_id
from changes
where value is not null
