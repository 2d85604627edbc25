-- Identifiers that a rule kept from linking, at the first message that met the rule.
-- One row per (identifier_type, identifier_value, rule).
with first_met as (
    select
        identifier_type,
        identifier_value,
        blocking_rule,
        min(arrival) as arrival
    from {{ ref('sightings') }}
    where blocking_rule is not null
    group by identifier_type, identifier_value, blocking_rule
)

select
    tuples.message_id,
    first_met.identifier_type,
    first_met.identifier_value,
    first_met.blocking_rule as rule
from first_met
inner join {{ ref('tuples') }} as tuples on tuples.arrival = first_met.arrival
