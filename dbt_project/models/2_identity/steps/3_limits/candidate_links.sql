-- What messages say belongs together, before any rule is asked: the sets that carry more than one
-- identifier that may link. A handle stands with the strongest member of its group in the set that
-- no cut takes out. One row per (set, identifier).
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

-- The identifiers of a set that operators cut from another one in it: of each pair the one that
-- would be dropped first.
cut_of_pairs as (
    select
        one.arrival,
        case
            when
                {{ identifier_priority('cuts.a_type') }}
                < {{ identifier_priority('cuts.b_type') }}
                then cuts.b_identifier
            when
                {{ identifier_priority('cuts.a_type') }}
                > {{ identifier_priority('cuts.b_type') }}
                then cuts.a_identifier
            when min(one.place) < min(other.place) then cuts.b_identifier
            else cuts.a_identifier
        end as identifier
    from {{ ref('overrides') }} as cuts
    inner join linkable as one on one.identifier = cuts.a_identifier
    inner join linkable as other
        on other.arrival = one.arrival and other.identifier = cuts.b_identifier
    where cuts.action = 'cut'
    group by one.arrival, cuts.a_type, cuts.b_type, cuts.a_identifier, cuts.b_identifier
),

cut_out as (
    select distinct
        arrival,
        identifier
    from cut_of_pairs
),

attached as (
    select
        linkable.arrival,
        forced.handle,
        linkable.identifier,
        row_number() over (
            partition by linkable.arrival, forced.handle
            order by
                case when cut_out.identifier is null then 0 else 1 end,
                {{ identifier_priority('forced.identifier_type') }}, linkable.place,
                forced.identifier_type, forced.identifier_value
        ) as strength
    from linkable
    inner join {{ ref('forced') }} as forced on forced.identifier = linkable.identifier
    left join cut_out
        on cut_out.arrival = linkable.arrival and cut_out.identifier = linkable.identifier
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
