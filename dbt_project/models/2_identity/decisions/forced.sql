-- Members of forced groups. A group has a handle, an identifier of its own that every message with a member carries, too,
-- and it counts against limits in their place: once per type. One row per member.
{{ config(materialized='intermediate') }}
with members as (
    select
        node as identifier,
        root
    from {{ ref('forced_groups') }}
    union distinct
    select
        root as identifier,
        root
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
    {{ handle_key('members.root') }} as handle
from members
inner join named on named.identifier = members.identifier
