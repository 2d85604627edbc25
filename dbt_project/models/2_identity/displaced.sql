-- Identifiers that some message had to drop, with their place: the first message that kept them (node), or none where
-- every message dropped them. One row per identifier.
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
    dropped.identifier,
    kept.arrival as node
from dropped
left join kept on kept.identifier = dropped.identifier
