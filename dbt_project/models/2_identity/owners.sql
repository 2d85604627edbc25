-- Whose messages are those that carry a given set of identifiers. One row per distinct identifiers;
-- profile_id is null where none of them may identify anybody.
with owned as (
    select
        sightings.arrival,
        min(sightings.placed_at) as placed_at
    from {{ ref('linked_sightings') }} as sightings
    group by sightings.arrival
)

select
    tuples.identifiers,
    md5(founders.message_id) as profile_id
from {{ ref('tuples') }} as tuples
left join owned on owned.arrival = tuples.arrival
left join {{ ref('foundings') }} as foundings on foundings.node = owned.placed_at
left join {{ ref('components') }} as components on components.node = coalesce(foundings.root, owned.placed_at)
left join {{ ref('tuples') }} as founders
    on founders.arrival = coalesce(components.root, foundings.root, owned.placed_at)
