-- Where each identifier first appeared. One row per (identifier_type, identifier_value) that may link.
with placed as (
    select
        identifier_type,
        identifier_value,
        min(arrival) as placed_at,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ ref('sightings') }}
    where blocking_rule is null
    group by identifier_type, identifier_value
)

select
    identifier_type,
    identifier_value,
    placed_at,
    first_seen_at,
    last_seen_at,
    row_number() over (order by placed_at, {{ identifier_priority('identifier_type') }}, identifier_type, identifier_value)
        as identifier_no
from placed
