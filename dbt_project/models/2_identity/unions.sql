-- Messages that carry identifiers of more than one founded profile. One row per pair of profiles that a message joins
-- (a is the older founding arrival), with the identifiers on either side that make the link.
with sides as (
    select
        sightings.arrival,
        coalesce(foundings.root, sightings.placed_at) as founded_at,
        min(sightings.identifier_no) as identifier_no
    from {{ ref('linked_sightings') }} as sightings
    left join {{ ref('foundings') }} as foundings on foundings.node = sightings.placed_at
    where sightings.placed_at < sightings.arrival
    group by sightings.arrival, coalesce(foundings.root, sightings.placed_at)
),

oldest as (
    select
        arrival,
        min(founded_at) as founded_at
    from sides
    group by arrival
    having count(*) > 1
)

select
    sides.arrival,
    oldest.founded_at as a,
    sides.founded_at as b,
    oldest_side.identifier_no as a_identifier_no,
    sides.identifier_no as b_identifier_no
from oldest
inner join sides on sides.arrival = oldest.arrival and sides.founded_at > oldest.founded_at
inner join sides as oldest_side on oldest_side.arrival = oldest.arrival and oldest_side.founded_at = oldest.founded_at
