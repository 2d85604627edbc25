-- A message that brings new identifiers together with known ones founds nobody: its identifiers
-- join the profile that was there. One row per such arrival, with the arrival that founded the
-- profile it joined.
{{ config(materialized='connected_components', node='arrival', root='founded_at') }}

select
    0 as instance,
    min(stands_at) as a,
    arrival as b
from {{ ref('accepted_links') }}
group by arrival
having min(stands_at) < arrival and max(stands_at) = arrival
