-- Each identifier of each set that this build met first, normalised, with its 63-bit key. One row per (tuple, place in it).
{{ config(materialized='intermediate') }}
with new_tuples as (
    select
        identifiers,
        arrival,
        first_seen_at,
        last_seen_at
    from {{ ref('tuples') }}
    where arrival > {{ after_arrival() }}
),

entries as (
    {{ explode_identifiers('new_tuples', ['arrival', 'first_seen_at', 'last_seen_at']) }}
),

normalised as (
    select
        arrival,
        first_seen_at,
        last_seen_at,
        item_count,
        identifier_type,
        {{ normalised_identifier('identifier_type', 'trimmed_value') }} as identifier_value
    from entries
)

select
    arrival,
    first_seen_at,
    last_seen_at,
    item_count,
    identifier_type,
    identifier_value,
    {{ identifier_key('identifier_type', 'identifier_value') }} as identifier
from normalised
where identifier_value is not null
