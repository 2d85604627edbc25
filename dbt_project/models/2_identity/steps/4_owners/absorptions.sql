-- When each absorbed profile lost its independence, to whom, and through which identifier.
-- One row per absorbed founding arrival.
{{ config(materialized='merge_order') }}

select
    coalesce(surviving_profiles.root, profile_links.a) as instance,
    profile_links.a,
    profile_links.b,
    profile_links.arrival,
    profile_links.a_strength,
    profile_links.b_strength
from {{ ref('profile_links') }} as profile_links
left join {{ ref('surviving_profiles') }} as surviving_profiles on surviving_profiles.node = profile_links.a
