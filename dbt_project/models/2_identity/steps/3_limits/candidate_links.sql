-- What messages say belongs together, before any rule is asked: the sets that carry more than one
-- identifier that may link. A handle stands with the strongest member of its group in the set. One
-- row per (set, identifier).
{{ config(materialized='intermediate') }}
with linkable as (
    select
        set_members.arrival,
        set_members.identifier,
        set_members.item_count,
        set_members.place,
        identifiers.stands_at,
        identifiers.founded_at is null as is_new
    from {{ ref('set_members') }} as set_members
    inner join {{ ref('met_identifiers') }} as identifiers
        on identifiers.identifier = set_members.identifier
    where identifiers.blocking_rule is null
),

attached as (
    select
        linkable.arrival,
        forced.handle,
        linkable.identifier,
        row_number() over (
            partition by linkable.arrival, forced.handle
            order by
                {{ identifier_priority('forced.identifier_type') }}, linkable.place,
                forced.identifier_type, forced.identifier_value
        ) as strength
    from linkable
    inner join {{ ref('forced') }} as forced on forced.identifier = linkable.identifier
)

select distinct
    linkable.arrival,
    linkable.identifier,
    linkable.stands_at,
    linkable.is_new,
    linkable.identifier as stands_with
from linkable
where linkable.item_count > 1 or linkable.arrival in (select attached.arrival from attached)
union all
select
    attached.arrival,
    attached.handle as identifier,
    handles.stands_at,
    handles.founded_at is null as is_new,
    attached.identifier as stands_with
from attached
inner join {{ ref('met_identifiers') }} as handles on handles.identifier = attached.handle
where attached.strength = 1
