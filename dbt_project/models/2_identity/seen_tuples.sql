-- The distinct sets of identifiers in the messages of this build, each with its first arrival: under limits that hold for
-- ever only the first occurrence of a set can change who is who. One row per distinct identifiers.
select
    identifiers,
    min(arrival) as arrival,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at
from {{ ref('messages') }}
where arrival > (select resolution.after_arrival from {{ ref('resolution') }} as resolution)
group by identifiers
