-- The links that hold: each identifier that a set kept, with the place where it stands. One row per
-- (set, identifier).
{{ config(materialized='ephemeral') }}

select
    candidate_links.arrival,
    candidate_links.identifier,
    candidate_links.stands_with,
    case
        when candidate_links.is_new and displaced.identifier is not null then displaced.stands_at
        else candidate_links.stands_at
    end as stands_at
from {{ ref('candidate_links') }} as candidate_links
left join {{ ref('displaced') }} as displaced on displaced.identifier = candidate_links.identifier
left join {{ ref('dropped_links') }} as dropped_links
    on
        dropped_links.arrival = candidate_links.arrival
        and dropped_links.identifier = candidate_links.identifier
where dropped_links.arrival is null
