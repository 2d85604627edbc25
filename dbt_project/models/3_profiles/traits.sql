-- What is known about each person and why: of what identify messages said of a trait, what the
-- tiers of sources and the trait's merge rule let stand; the latest, if nothing is declared. A null
-- removes the trait. One row per (profile, trait).
with writes as (
    select *
    from (
        {{ personal_writes() }}
    ) as personal_writes
    where {{ still_counts('trait', 'occurred_at', as_of()) }}
),

in_force as (
    {{ writes_in_force('writes', ['profile_id', 'trait']) }}
),

won as (
    {{ won_traits('in_force', ['profile_id', 'trait']) }}
)

select
    profile_id,
    trait,
    value,
    typed_value,
    source,
    occurred_at,
    message_id,
    won_by
from won
