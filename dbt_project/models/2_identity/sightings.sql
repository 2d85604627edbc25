-- Each identifier of each tuple, normalised, with its 63-bit key. One row per (tuple, place in it).
{{ config(pre_hook='{{ written_for_this_build() }}', post_hook='{{ written_to_stay() }}') }}
-- depends_on: {{ ref('seen_tuples') }}
-- depends_on: {{ ref('tuples') }}
{% set sets = ref('seen_tuples') if earlier_identity('tuples') else ref('tuples') %}
with entries as (
    {{ explode_identifiers(sets, ['arrival', 'first_seen_at', 'last_seen_at']) }}
),

normalised as (
    select
        arrival,
        first_seen_at,
        last_seen_at,
        item_count,
        identifier_type,
        {{ normalised_identifier('identifier_type', 'trim(value_as_given)') }} as identifier_value
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
