-- What is known about each person and why: of all identify messages of a person, the latest that set a trait wins, by
-- time of event, then by arrival; a null removes the trait. One row per (profile, trait).
with identifies as (
    select
        messages.message_id,
        messages.source,
        messages.occurred_at,
        messages.arrival,
        messages.traits,
        owners.profile_id
    from {{ ref('messages') }} as messages
    inner join {{ ref('owners') }} as owners on owners.identifiers = messages.identifiers
    where messages.type = 'identify' and messages.traits is not null and owners.profile_id is not null
),

writes as (
    {{ explode_object('identifies', ['profile_id', 'message_id', 'source', 'occurred_at', 'arrival'], 'traits') }}
),

ranked as (
    select
        *,
        row_number() over (partition by profile_id, entry_key order by occurred_at desc, arrival desc) as place
    from writes
)

select
    profile_id,
    entry_key as trait,
    entry_value as value,
    source,
    occurred_at,
    message_id
from ranked
where place = 1 and entry_value <> 'null'
