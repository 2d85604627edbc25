-- Where each identifier has its place: with the profile that holds it, or at the first message that kept it. One that
-- every message dropped has none. One row per identifier (node: founding arrival of its profile, or its own arrival).
with dropped as (
    select distinct identifier
    from {{ ref('drops') }}
),

kept as (
    select
        met.identifier,
        min(met.arrival) as arrival
    from (
        select
            sightings.arrival,
            sightings.identifier
        from {{ ref('sightings') }} as sightings
        inner join dropped on dropped.identifier = sightings.identifier
        union all
        select
            links.arrival,
            links.identifier
        from {{ ref('links') }} as links
        inner join dropped on dropped.identifier = links.identifier
    ) as met
    left join {{ ref('drops') }} as drops on drops.arrival = met.arrival and drops.identifier = met.identifier
    where drops.arrival is null
    group by met.identifier
)

select
    identifiers.identifier,
    identifiers.identifier_type,
    identifiers.identifier_value,
    identifiers.is_handle,
    identifiers.first_seen_at,
    identifiers.last_seen_at,
    identifiers.profile_id,
    identifiers.founded_at,
    coalesce(
        identifiers.founded_at,
        case when dropped.identifier is null then identifiers.first_arrival else kept.arrival end
    ) as node
from {{ ref('seen_identifiers') }} as identifiers
left join dropped on dropped.identifier = identifiers.identifier
left join kept on kept.identifier = identifiers.identifier
where
    identifiers.blocking_rule is null
    and (identifiers.founded_at is not null or dropped.identifier is null or kept.arrival is not null)
