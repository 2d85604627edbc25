-- What operators decided about identity (seeds/identity_overrides.csv), with values spelled as identifiers are.
-- One row per decision.
with trimmed as (
    select
        row_number() over (order by action, a_type, a_value, b_type, b_value) as override_no,
        action,
        a_type,
        {{ trimmed('a_value') }} as a_value,
        b_type,
        {{ trimmed('b_value') }} as b_value
    from {{ ref('identity_overrides') }}
),

normalised as (
    select
        override_no,
        action,
        a_type,
        {{ normalised_identifier('a_type', 'a_value') }} as a_value,
        b_type,
        {{ normalised_identifier('b_type', 'b_value') }} as b_value
    from trimmed
)

select
    override_no,
    action,
    a_type,
    a_value,
    {{ identifier_key('a_type', 'a_value') }} as a_identifier,
    b_type,
    b_value,
    {{ identifier_key('b_type', 'b_value') }} as b_identifier,
    -- Of a cut pair the weaker one leaves the messages that carry both.
    case
        when {{ identifier_priority('a_type') }} < {{ identifier_priority('b_type') }} then false
        when {{ identifier_priority('a_type') }} > {{ identifier_priority('b_type') }} then true
        else a_type > b_type or (a_type = b_type and a_value > b_value)
    end as a_is_weaker
from normalised
