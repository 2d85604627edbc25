-- A message that brings new identifiers together with known ones founds nobody: its identifiers join the profile that
-- was there. One row per such arrival (node), with the arrival that founded the profile it joined (root).
{{ config(materialized='connected_components') }}

select
    0 as instance,
    min(node) as a,
    arrival as b
from {{ ref('accepted_links') }}
group by arrival
having min(node) < arrival and max(node) = arrival
