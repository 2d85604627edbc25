-- Where a resolution goes on after an earlier one: the distinct sets of identifiers in the messages
-- of this build, each with its first arrival in it. Where it starts from the beginning there are
-- none here: identifier_sets holds them all then, and is large. One row per distinct identifiers.
{{ config(materialized='intermediate') }}
-- depends_on: {{ ref('messages') }}
-- depends_on: {{ ref('current_resolution') }}

{% if earlier_step('identifier_sets') -%}
{{ distinct_sets(ref('messages')) }}
{%- else -%}
select
    identifiers,
    arrival,
    occurred_at as first_seen_at,
    occurred_at as last_seen_at
from {{ ref('messages') }}
where 1 = 0
{%- endif %}
