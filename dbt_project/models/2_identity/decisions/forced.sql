-- Members of forced groups. A group has a handle: a key that counts against limits in the place of
-- the members, once per type, and that every message with a member carries, too. One row per
-- member.
{{ config(materialized='intermediate') }}
with members as (
    select
        identifier,
        group_identifier
    from {{ ref('forced_groups') }}
    union distinct
    select
        group_identifier as identifier,
        group_identifier
    from {{ ref('forced_groups') }}
),

named as (
    select
        a_identifier as identifier,
        a_type as identifier_type,
        a_value as identifier_value
    from {{ ref('overrides') }}
    union distinct
    select
        b_identifier as identifier,
        b_type as identifier_type,
        b_value as identifier_value
    from {{ ref('overrides') }}
)

select
    members.identifier,
    named.identifier_type,
    named.identifier_value,
    {{ handle_key('members.group_identifier') }} as handle
from members
inner join named on named.identifier = members.identifier
