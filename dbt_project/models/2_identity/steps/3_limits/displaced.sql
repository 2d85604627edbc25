-- Identifiers that some message of this build had to drop, with the place where they stand now: the
-- first message that kept them, and the times of those that did. An identifier that every message
-- dropped has neither. One row per identifier.
{{ config(materialized='intermediate') }}
with dropped as (
    select distinct identifier
    from {{ ref('dropped_links') }}
),

kept as (
    select
        met.identifier,
        min(met.arrival) as arrival,
        min(met.first_seen_at) as first_seen_at,
        max(met.last_seen_at) as last_seen_at
    from (
        select
            set_members.arrival,
            set_members.identifier,
            set_members.first_seen_at,
            set_members.last_seen_at
        from {{ ref('set_members') }} as set_members
        inner join dropped on dropped.identifier = set_members.identifier
        union all
        select
            candidate_links.arrival,
            candidate_links.identifier,
            cast(null as {{ dbt.type_timestamp() }}) as first_seen_at,
            cast(null as {{ dbt.type_timestamp() }}) as last_seen_at
        from {{ ref('candidate_links') }} as candidate_links
        inner join dropped on dropped.identifier = candidate_links.identifier
    ) as met
    left join {{ ref('dropped_links') }} as dropped_links
        on
            dropped_links.arrival = met.arrival
            and dropped_links.identifier = met.identifier
    where dropped_links.arrival is null
    group by met.identifier
)

select
    dropped.identifier,
    kept.arrival as stands_at,
    kept.first_seen_at,
    kept.last_seen_at
from dropped
left join kept on kept.identifier = dropped.identifier
