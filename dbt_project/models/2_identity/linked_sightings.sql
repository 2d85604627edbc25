-- Each identifier of each tuple with the arrival that placed it. One row per (tuple, identifier that may link).
select
    sightings.arrival,
    placements.placed_at,
    placements.identifier_no
from {{ ref('sightings') }} as sightings
inner join {{ ref('placements') }} as placements
    on
        placements.identifier_type = sightings.identifier_type
        and placements.identifier_value = sightings.identifier_value
where sightings.blocking_rule is null
