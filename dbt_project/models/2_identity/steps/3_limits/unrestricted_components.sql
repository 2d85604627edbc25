-- Who would be one person if there were no rules. One row per node that is not the oldest of its component (root).
{{ config(materialized='connected_components') }}

with oldest as (
    select
        arrival,
        min(node) as node
    from {{ ref('candidate_links') }}
    group by arrival
    having min(node) < max(node)
)

select distinct
    0 as instance,
    oldest.node as a,
    candidate_links.node as b
from oldest
inner join {{ ref('candidate_links') }} as candidate_links on candidate_links.arrival = oldest.arrival and candidate_links.node > oldest.node
