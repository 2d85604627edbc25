-- What each person allows now: the latest word on a purpose counts; of two at the same moment, the
-- denial. One row per (profile, regulation, purpose).
with stated as (
    select
        messages.message_id,
        messages.occurred_at,
        messages.arrival,
        messages.consent,
        set_owners.profile_id
    from {{ ref('messages') }} as messages
    inner join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ owner_key('messages') }}
    where messages.consent is not null and set_owners.profile_id is not null
),

entries as (
    {{ explode_array('stated', ['profile_id', 'message_id', 'occurred_at', 'arrival'], 'consent') }}
),

statements as (
    select
        profile_id,
        {{ json_text('item', ['regulation']) }} as regulation,
        {{ json_text('item', ['purpose']) }} as purpose,
        {{ json_text('item', ['state']) }} as state,
        occurred_at,
        message_id,
        arrival
    from entries
),

ranked as (
    select
        *,
        row_number() over (
            partition by profile_id, regulation, purpose
            order by occurred_at desc, case when state = 'granted' then 1 else 0 end, arrival desc
        ) as place
    from statements
)

select
    profile_id,
    regulation,
    purpose,
    state,
    occurred_at,
    message_id
from ranked
where place = 1
