-- When each absorbed profile lost its independence, to whom, and through which identifier.
-- One row per absorbed founding arrival.
{{ config(materialized='merge_order') }}

select
    coalesce(surviving_profiles.survives_in, profile_links.older_profile) as instance,
    profile_links.older_profile as a,
    profile_links.younger_profile as b,
    profile_links.arrival,
    profile_links.older_strength as a_strength,
    profile_links.younger_strength as b_strength
from {{ ref('profile_links') }} as profile_links
left join {{ ref('surviving_profiles') }} as surviving_profiles
    on surviving_profiles.founded_at = profile_links.older_profile
