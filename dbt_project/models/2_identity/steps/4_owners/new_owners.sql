-- Who holds each identifier that this build met. One row per identifier.
{{ config(materialized='ephemeral') }}

select
    placements.identifier,
    placements.identifier_type,
    placements.identifier_value,
    touched_profiles.profile_id,
    touched_profiles.founded_at,
    placements.first_seen_at,
    placements.last_seen_at
from {{ ref('placements') }} as placements
left join {{ ref('joined_sets') }} as joined_sets on joined_sets.arrival = placements.stands_at
left join {{ ref('surviving_profiles') }} as surviving_profiles
    on surviving_profiles.founded_at = coalesce(joined_sets.founded_at, placements.stands_at)
inner join {{ ref('touched_profiles') }} as touched_profiles
    on
        touched_profiles.founded_at
        = coalesce(surviving_profiles.survives_in, joined_sets.founded_at, placements.stands_at)
where not placements.is_handle
