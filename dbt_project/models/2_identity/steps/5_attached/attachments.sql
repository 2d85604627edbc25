-- Whom each message of an update_only source names: the strongest of its identifiers that an
-- ordinary message had placed by then, itself or by its forced group. Of a cut pair only the
-- stronger one counts. It stays so whatever arrives later. One row per such message; identifier is
-- null where it names nobody.
{{ config(
    materialized='incremental', incremental_strategy='append',
    enabled=sources_under('update_only') | length > 0,
    pre_hook=['{{ start_over(arrives=true) }}', '{{ written_for_this_build() }}'],
    post_hook='{{ written_to_stay() }}'
) }}

with said as (
    select
        arrival,
        identifiers,
        min(arrival) over (partition by identifiers) as set_arrival
    from {{ ref('messages') }}
    where arrival > {{ after_arrival() }} and {{ is_under('update_only', 'source') }}
),

said_sets as (
    select
        identifiers,
        arrival
    from said
    where arrival = set_arrival
),

usable as (
    {{ usable_members('said_sets', ['arrival']) }}
),

members as (
    select
        arrival,
        identifier,
        row_number() over (
            partition by arrival
            order by
                {{ identifier_priority('identifier_type') }}, place,
                identifier_type, identifier_value
        ) as strength
    from usable
),

cut_out as (
    select
        one.arrival,
        case
            when one.strength > other.strength then one.identifier else other.identifier
        end as identifier
    from {{ ref('overrides') }} as cuts
    inner join members as one on one.identifier = cuts.a_identifier
    inner join members as other
        on other.arrival = one.arrival and other.identifier = cuts.b_identifier
    where cuts.action = 'cut'
),

left_in as (
    select
        members.arrival,
        members.identifier,
        members.strength
    from members
    left join cut_out
        on cut_out.arrival = members.arrival and cut_out.identifier = members.identifier
    where cut_out.identifier is null
),

naming as (
    select
        arrival,
        identifier,
        strength,
        0 as by_force
    from left_in
    union all
    select
        left_in.arrival,
        others.identifier,
        left_in.strength,
        1 as by_force
    from left_in
    inner join {{ ref('forced') }} as forced on forced.identifier = left_in.identifier
    inner join {{ ref('forced') }} as others
        on others.handle = forced.handle and others.identifier <> forced.identifier
),

placed as (
    select
        kept.identifier,
        min(kept.arrival) as placed_at
    from {{ ref('kept') }} as kept
    where kept.identifier in (select naming.identifier from naming)
    group by kept.identifier
),

ordered as (
    select
        naming.arrival,
        naming.identifier,
        placed.placed_at,
        row_number() over (
            partition by naming.arrival
            order by naming.strength, naming.by_force, placed.placed_at, naming.identifier
        ) as preference
    from naming
    inner join placed on placed.identifier = naming.identifier
),

-- An identifier decides from when it was placed until a stronger one is.
spans as (
    select
        arrival as set_arrival,
        identifier,
        placed_at,
        min(placed_at) over (
            partition by arrival
            order by preference
            rows between unbounded preceding and 1 preceding
        ) as stronger_placed_at
    from ordered
)

select
    said.arrival,
    spans.identifier
from said
left join spans
    on
        spans.set_arrival = said.set_arrival
        and spans.placed_at < said.arrival
        and (spans.stronger_placed_at is null or spans.stronger_placed_at >= said.arrival)
