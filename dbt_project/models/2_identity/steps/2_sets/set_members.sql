-- Each identifier of each set that this build met first, as its type spells it, with its 63-bit
-- key. One row per (set, place in it; the first is 0).
{{ config(materialized='intermediate') }}
with new_identifier_sets as (
    select
        identifiers,
        arrival,
        first_seen_at,
        last_seen_at
    from {{ ref('identifier_sets') }}
    where arrival > {{ after_arrival() }}
),

entries as (
    {{ explode_identifiers('new_identifier_sets', ['arrival', 'first_seen_at', 'last_seen_at']) }}
),

spelled as (
    select
        arrival,
        first_seen_at,
        last_seen_at,
        item_count,
        place,
        identifier_type,
        {{ spelled_identifier(
            'identifier_type', 'value_as_given', plain='is_plain',
        ) }} as identifier_value
    from entries
)

select
    arrival,
    first_seen_at,
    last_seen_at,
    item_count,
    place,
    identifier_type,
    identifier_value,
    {{ identifier_key('identifier_type', 'identifier_value') }} as identifier
from spelled
where identifier_value is not null
