-- Each declared identifier in each tuple, normalised, with the rule that blocks it if one does.
-- One row per (tuple, identifier).
with entries as (
    {{ explode_array(ref('tuples'), ['arrival', 'first_seen_at', 'last_seen_at'], 'identifiers') }}
),

typed as (
    select
        arrival,
        first_seen_at,
        last_seen_at,
        {{ json_text('item', ['type']) }} as identifier_type,
        trim({{ json_text('item', ['value']) }}) as value_as_given
    from entries
),

normalised as (
    select distinct
        arrival,
        first_seen_at,
        last_seen_at,
        identifier_type,
        {{ normalised_identifier('identifier_type', 'value_as_given') }} as identifier_value
    from typed
    where identifier_type in ({{ identifier_types() }})
)

select
    arrival,
    first_seen_at,
    last_seen_at,
    identifier_type,
    identifier_value,
    {{ blocking_rule('identifier_type', 'identifier_value') }} as blocking_rule
from normalised
