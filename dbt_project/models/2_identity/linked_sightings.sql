-- The links that hold: each identifier that a tuple kept, with its place. One row per (tuple, identifier).
select
    links.arrival,
    links.identifier,
    links.stands_with,
    placements.node
from {{ ref('links') }} as links
inner join {{ ref('placements') }} as placements on placements.identifier = links.identifier
left join {{ ref('drops') }} as drops on drops.arrival = links.arrival and drops.identifier = links.identifier
where drops.arrival is null
