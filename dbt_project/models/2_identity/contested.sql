-- The tuples whose order matters: those of components that would break a rule as a whole, and those that an operator cut.
-- Everywhere else no message can meet a rule. One row per (tuple, identifier); the last in drop_order is dropped first: of equal
-- priority the later place in the message, so that an alias between two users keeps its sender's userId.
{{ config(materialized='ephemeral') }}

with broken as (
    select coalesce(reachable.root, holdings.shared_node) as root
    from {{ ref('holdings') }} as holdings
    left join {{ ref('reachable') }} as reachable on reachable.node = holdings.shared_node
    group by coalesce(reachable.root, holdings.shared_node), holdings.rule
    having sum(holdings.held) > min(holdings.allowed)
    union distinct
    select coalesce(reachable.root, links.node) as root
    from {{ ref('links') }} as links
    left join {{ ref('reachable') }} as reachable on reachable.node = links.node
    inner join {{ ref('overrides') }} as overrides
        on overrides.action = 'cut' and overrides.a_identifier = links.identifier
),

caught as (
    select
        links.arrival,
        links.identifier,
        links.stands_with
    from {{ ref('links') }} as links
    left join {{ ref('reachable') }} as reachable on reachable.node = links.node
    inner join broken on broken.root = coalesce(reachable.root, links.node)
),

places as (
    select
        sightings.arrival,
        sightings.identifier,
        min(sightings.place) as place
    from {{ ref('sightings') }} as sightings
    inner join (select distinct caught.arrival from caught) as due on due.arrival = sightings.arrival
    group by sightings.arrival, sightings.identifier
)

select
    caught.arrival,
    caught.identifier,
    caught.stands_with,
    coalesce(identifiers.founded_at, -caught.identifier) as node,
    row_number() over (
        partition by caught.arrival
        order by
            {{ identifier_priority('shown.identifier_type') }}, places.place,
            shown.identifier_type, shown.identifier_value,
            case when identifiers.is_handle then 0 else 1 end
    ) as drop_order
from caught
inner join places on places.arrival = caught.arrival and places.identifier = caught.stands_with
inner join {{ ref('seen_identifiers') }} as identifiers on identifiers.identifier = caught.identifier
inner join {{ ref('seen_identifiers') }} as shown on shown.identifier = caught.stands_with
