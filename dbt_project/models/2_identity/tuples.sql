-- Every distinct set of identifiers that messages carried, with its first arrival: under limits that hold for ever only
-- the first message of a set can change who is who. One row per distinct identifiers.
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=['{{ start_over(arrives=true) }}', '{{ written_for_this_build() }}'], post_hook='{{ written_to_stay() }}'
) }}
-- depends_on: {{ ref('messages') }}
-- depends_on: {{ ref('seen_tuples') }}
-- depends_on: {{ ref('seen_again') }}

{% if earlier_identity('tuples') -%}
select
    met.identifiers,
    met.arrival,
    met.first_seen_at,
    met.last_seen_at
from {{ ref('seen_tuples') }} as met
left join {{ ref('seen_again') }} as again on again.arrival = met.arrival
where again.arrival is null
{%- else -%}
{{ distinct_tuples(ref('messages')) }}
{%- endif %}
