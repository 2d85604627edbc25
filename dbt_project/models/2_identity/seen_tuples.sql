-- The distinct sets of identifiers in the messages of this build, each with its first arrival in it.
-- One row per distinct identifiers.
{{ config(materialized='ephemeral') }}
-- depends_on: {{ ref('messages') }}
-- depends_on: {{ ref('tuples') }}
-- depends_on: {{ ref('resolution') }}

{% if earlier_identity('tuples') -%}
{{ distinct_tuples(ref('messages')) }}
{%- else -%}
select
    identifiers,
    arrival,
    first_seen_at,
    last_seen_at
from {{ ref('tuples') }}
{%- endif %}
