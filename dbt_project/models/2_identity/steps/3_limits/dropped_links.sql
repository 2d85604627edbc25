-- The identifiers that messages had to drop, so that no merge broke a rule. One row per (set,
-- identifier). The SQL here gives the sets whose order matters: those of components that would
-- break a rule as a whole, and those that an operator cut; everywhere else no message can meet a
-- rule. The last in drop_order is dropped first: of equal priority the later place in the message,
-- so that an alias between two users keeps its sender's userId.
{{ config(materialized='merge_protection', limits='limit_usage', decisions='overrides') }}

with broken as (
    select coalesce(unrestricted_components.component, limit_usage.stands_at) as component
    from {{ ref('limit_usage') }} as limit_usage
    left join {{ ref('unrestricted_components') }} as unrestricted_components
        on unrestricted_components.stands_at = limit_usage.stands_at
    group by coalesce(unrestricted_components.component, limit_usage.stands_at), limit_usage.rule
    having sum(limit_usage.held) > min(limit_usage.allowed)
    union distinct
    select coalesce(unrestricted_components.component, candidate_links.stands_at) as component
    from {{ ref('candidate_links') }} as candidate_links
    left join {{ ref('unrestricted_components') }} as unrestricted_components
        on unrestricted_components.stands_at = candidate_links.stands_at
    inner join {{ ref('overrides') }} as overrides
        on overrides.action = 'cut' and overrides.a_identifier = candidate_links.identifier
),

caught as (
    select
        candidate_links.arrival,
        candidate_links.identifier,
        candidate_links.stands_with
    from {{ ref('candidate_links') }} as candidate_links
    left join {{ ref('unrestricted_components') }} as unrestricted_components
        on unrestricted_components.stands_at = candidate_links.stands_at
    inner join broken
        on
            broken.component
            = coalesce(unrestricted_components.component, candidate_links.stands_at)
),

places as (
    select
        set_members.arrival,
        set_members.identifier,
        min(set_members.place) as place
    from {{ ref('set_members') }} as set_members
    inner join (
        select distinct caught.arrival
        from caught
    ) as due on due.arrival = set_members.arrival
    group by set_members.arrival, set_members.identifier
)

select
    caught.arrival,
    caught.identifier,
    caught.stands_with,
    coalesce(identifiers.founded_at, -caught.identifier) as holder,
    row_number() over (
        partition by caught.arrival
        order by
            {{ identifier_priority('shown.identifier_type') }}, places.place,
            shown.identifier_type, shown.identifier_value,
            case when identifiers.is_handle then 0 else 1 end
    ) as drop_order
from caught
inner join places on places.arrival = caught.arrival and places.identifier = caught.stands_with
inner join {{ ref('met_identifiers') }} as identifiers on identifiers.identifier = caught.identifier
inner join {{ ref('met_identifiers') }} as shown on shown.identifier = caught.stands_with
