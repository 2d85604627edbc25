-- Where each identifier has its place: with the profile that holds it, or at the first message that kept it. One that
-- every message dropped has none. One row per identifier (node: founding arrival of its profile, or its own arrival).
{{ config(materialized='ephemeral') }}

select
    identifiers.identifier,
    identifiers.identifier_type,
    identifiers.identifier_value,
    identifiers.is_handle,
    case when displaced.identifier is null then identifiers.first_seen_at else displaced.first_seen_at end as first_seen_at,
    case when displaced.identifier is null then identifiers.last_seen_at else displaced.last_seen_at end as last_seen_at,
    identifiers.profile_id,
    identifiers.founded_at,
    case
        when identifiers.founded_at is null and displaced.identifier is not null then displaced.node
        else identifiers.node
    end as node
from {{ ref('seen_identifiers') }} as identifiers
left join {{ ref('displaced') }} as displaced on displaced.identifier = identifiers.identifier
where
    identifiers.blocking_rule is null
    and (identifiers.founded_at is not null or displaced.identifier is null or displaced.node is not null)
