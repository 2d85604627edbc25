-- Who is one person in the end: which profile each absorbed one survives in. One row per absorbed
-- profile.
{{ config(materialized='connected_components', node='founded_at', root='survives_in') }}

select distinct
    0 as instance,
    older_profile as a,
    younger_profile as b
from {{ ref('profile_links') }}
