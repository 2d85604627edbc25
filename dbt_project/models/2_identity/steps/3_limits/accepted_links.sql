-- The links that hold: each identifier that a set kept, with its place. One row per (set, identifier).
{{ config(materialized='ephemeral') }}

select
    candidate_links.arrival,
    candidate_links.identifier,
    candidate_links.stands_with,
    case
        when candidate_links.is_new and displaced.identifier is not null then displaced.node
        else candidate_links.node
    end as node
from {{ ref('candidate_links') }} as candidate_links
left join {{ ref('displaced') }} as displaced on displaced.identifier = candidate_links.identifier
left join {{ ref('dropped_links') }} as dropped_links on dropped_links.arrival = candidate_links.arrival and dropped_links.identifier = candidate_links.identifier
where dropped_links.arrival is null
