-- Who would be one person if there were no rules. One row per node that is not the oldest of its component (root).
{{ config(materialized='connected_components') }}

with oldest as (
    select
        arrival,
        min(node) as node
    from {{ ref('links') }}
    group by arrival
    having min(node) < max(node)
)

select distinct
    0 as instance,
    oldest.node as a,
    links.node as b
from oldest
inner join {{ ref('links') }} as links on links.arrival = oldest.arrival and links.node > oldest.node
