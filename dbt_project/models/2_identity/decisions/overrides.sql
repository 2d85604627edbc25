-- What operators decided about identity (seeds/identity_overrides.csv), with values spelled as
-- identifiers are. One row per decision.
with spelled as (
    select
        row_number() over (order by action, a_type, a_value, b_type, b_value) as override_no,
        action,
        a_type,
        {{ spelled_identifier('a_type', 'a_value') }} as a_value,
        b_type,
        {{ spelled_identifier('b_type', 'b_value') }} as b_value
    from {{ ref('identity_overrides') }}
)

select
    override_no,
    action,
    a_type,
    a_value,
    {{ identifier_key('a_type', 'a_value') }} as a_identifier,
    b_type,
    b_value,
    {{ identifier_key('b_type', 'b_value') }} as b_identifier
from spelled
