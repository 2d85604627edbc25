-- Who owns each identifier. One row per (identifier_type, identifier_value).
select
    placements.identifier_type,
    placements.identifier_value,
    md5(founders.message_id) as profile_id,
    placements.first_seen_at,
    placements.last_seen_at
from {{ ref('placements') }} as placements
left join {{ ref('foundings') }} as foundings on foundings.node = placements.placed_at
left join {{ ref('components') }} as components on components.node = coalesce(foundings.root, placements.placed_at)
inner join {{ ref('tuples') }} as founders
    on founders.arrival = coalesce(components.root, foundings.root, placements.placed_at)
