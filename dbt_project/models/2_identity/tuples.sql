-- Every distinct set of identifiers that messages carried, with its first arrival: under limits that hold for ever only
-- the first message of a set can change who is who. One row per distinct identifiers.
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=['{{ start_over() }}', '{{ written_for_this_build() }}'], post_hook='{{ written_to_stay() }}'
) }}
-- depends_on: {{ ref('resolution') }}

with met as (
    {{ distinct_tuples(ref('messages')) }}
)

select
    met.identifiers,
    met.arrival,
    met.first_seen_at,
    met.last_seen_at
from met
{% if is_incremental() %}
left join (
    -- The few that are known already, rather than all of them: so the large side is only read.
    select known.identifiers
    from {{ this }} as known
    inner join met on met.identifiers = known.identifiers
) as met_before on met_before.identifiers = met.identifiers
where met_before.identifiers is null
{% endif %}
