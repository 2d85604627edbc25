-- The tuples whose order matters: those of components that would break a rule as a whole, and those that an operator cut.
-- Everywhere else no message can meet a rule. One row per (tuple, identifier); the last in drop_order is dropped first.
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
)

select
    links.arrival,
    links.identifier,
    links.stands_with,
    coalesce(identifiers.founded_at, -links.identifier) as node,
    row_number() over (
        partition by links.arrival
        order by
            {{ identifier_priority('shown.identifier_type') }}, shown.identifier_type, shown.identifier_value,
            case when identifiers.is_handle then 0 else 1 end
    ) as drop_order
from {{ ref('links') }} as links
left join {{ ref('reachable') }} as reachable on reachable.node = links.node
inner join broken on broken.root = coalesce(reachable.root, links.node)
inner join {{ ref('seen_identifiers') }} as identifiers on identifiers.identifier = links.identifier
inner join {{ ref('seen_identifiers') }} as shown on shown.identifier = links.stands_with
