-- Who would be one person if there were no rules. One row per arrival that is not the oldest of its
-- component.
{{ config(materialized='connected_components', node='stands_at', root='component') }}

with oldest as (
    select
        arrival,
        min(stands_at) as stands_at
    from {{ ref('candidate_links') }}
    group by arrival
    having min(stands_at) < max(stands_at)
)

select distinct
    0 as instance,
    oldest.stands_at as a,
    candidate_links.stands_at as b
from oldest
inner join {{ ref('candidate_links') }} as candidate_links
    on
        candidate_links.arrival = oldest.arrival
        and candidate_links.stands_at > oldest.stands_at
