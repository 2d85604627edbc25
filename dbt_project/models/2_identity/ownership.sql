-- Who holds each identifier that this build met. One row per identifier.
{{ config(materialized='ephemeral') }}

select
    placements.identifier,
    placements.identifier_type,
    placements.identifier_value,
    founders.profile_id,
    founders.founded_at,
    placements.first_seen_at,
    placements.last_seen_at
from {{ ref('placements') }} as placements
left join {{ ref('foundings') }} as foundings on foundings.node = placements.node
left join {{ ref('components') }} as components on components.node = coalesce(foundings.root, placements.node)
inner join {{ ref('founders') }} as founders
    on founders.founded_at = coalesce(components.root, foundings.root, placements.node)
where not placements.is_handle
