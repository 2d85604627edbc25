-- The distinct sets of identifiers that messages carried, each with its first arrival: under limits that hold for ever
-- only the first occurrence of a set can change who is who. One row per distinct identifiers.
with distinct_tuples as (
    select
        identifiers,
        min(arrival) as arrival,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from {{ ref('messages') }}
    group by identifiers
)

select
    distinct_tuples.identifiers,
    distinct_tuples.arrival,
    distinct_tuples.first_seen_at,
    distinct_tuples.last_seen_at,
    messages.message_id,
    messages.received_at
from distinct_tuples
inner join {{ ref('messages') }} as messages on messages.arrival = distinct_tuples.arrival
