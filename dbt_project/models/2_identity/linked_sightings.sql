-- The links that hold: each identifier that a tuple kept, with its place. One row per (tuple, identifier).
{{ config(materialized='ephemeral') }}

select
    links.arrival,
    links.identifier,
    links.stands_with,
    case
        when links.is_new and displaced.identifier is not null then displaced.node
        else links.node
    end as node
from {{ ref('links') }} as links
left join {{ ref('displaced') }} as displaced on displaced.identifier = links.identifier
left join {{ ref('drops') }} as drops on drops.arrival = links.arrival and drops.identifier = links.identifier
where drops.arrival is null
