-- Which identifiers a set kept: their times move when the set is seen again. `decides` marks the
-- identifier used to look up the set's profile; any would do, because all are one person's. One row
-- per (set, identifier).
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=['{{ start_over(arrives=true) }}', '{{ written_for_this_build() }}'],
    post_hook='{{ written_to_stay() }}'
) }}

with linked as (
    select
        arrival,
        identifier
    from {{ ref('accepted_links') }}
    where identifier = stands_with  -- not a handle
),

deciding as (
    select
        arrival,
        min(identifier) as identifier
    from linked
    group by arrival
),

grouped as (
    select distinct candidate_links.arrival
    from {{ ref('candidate_links') }} as candidate_links
    inner join {{ ref('forced') }} as forced on forced.handle = candidate_links.identifier
),

-- Identifiers that came alone and are in no forced group: nothing can keep them from their set.
alone as (
    select
        set_members.arrival,
        set_members.identifier
    from {{ ref('set_members') }} as set_members
    inner join {{ ref('met_identifiers') }} as identifiers
        on identifiers.identifier = set_members.identifier
    left join grouped on grouped.arrival = set_members.arrival
    where
        set_members.item_count = 1
        and identifiers.blocking_rule is null
        and grouped.arrival is null
)

select
    linked.arrival,
    linked.identifier,
    linked.identifier = deciding.identifier as decides
from linked
inner join deciding on deciding.arrival = linked.arrival
union all
select
    arrival,
    identifier,
    true as decides
from alone
