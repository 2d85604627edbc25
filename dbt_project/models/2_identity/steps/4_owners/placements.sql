-- Where each identifier stands: with the profile that holds it, or at the first message that kept
-- it. An identifier that every message dropped stands nowhere. One row per identifier.
{{ config(materialized='ephemeral') }}

with met as (
    select
        identifiers.identifier,
        identifiers.identifier_type,
        identifiers.identifier_value,
        identifiers.is_handle,
        -- No time where every message of this build dropped it.
        case
            when displaced.identifier is null then identifiers.first_seen_at
            else displaced.first_seen_at
        end as first_seen_at,
        case
            when displaced.identifier is null then identifiers.last_seen_at
            else displaced.last_seen_at
        end as last_seen_at,
        identifiers.known_first_seen_at,
        identifiers.known_last_seen_at,
        identifiers.profile_id,
        identifiers.founded_at,
        case
            when identifiers.founded_at is null and displaced.identifier is not null
                then displaced.stands_at
            else identifiers.stands_at
        end as stands_at
    from {{ ref('met_identifiers') }} as identifiers
    left join {{ ref('displaced') }} as displaced on displaced.identifier = identifiers.identifier
    where
        identifiers.blocking_rule is null
        and (
            identifiers.founded_at is not null
            or displaced.identifier is null
            or displaced.stands_at is not null
        )
)

select
    identifier,
    identifier_type,
    identifier_value,
    is_handle,
    case
        when first_seen_at is null or known_first_seen_at < first_seen_at then known_first_seen_at
        else first_seen_at
    end as first_seen_at,
    case
        when last_seen_at is null or known_last_seen_at > last_seen_at then known_last_seen_at
        else last_seen_at
    end as last_seen_at,
    profile_id,
    founded_at,
    stands_at
from met
