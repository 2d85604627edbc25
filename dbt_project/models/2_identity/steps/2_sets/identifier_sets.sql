-- Every distinct set of identifiers that messages carried, with its first arrival: under limits
-- that hold for ever only the first message of a set can change who is who. What protected sources
-- said is not among them. One row per distinct identifiers.
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=['{{ start_over(arrives=true) }}', '{{ written_for_this_build() }}'],
    post_hook='{{ written_to_stay() }}'
) }}
-- depends_on: {{ ref('messages') }}
-- depends_on: {{ ref('new_sets') }}
-- depends_on: {{ ref('repeated_sets') }}

{% if earlier_step('identifier_sets') -%}
select
    met.identifiers,
    met.arrival,
    met.first_seen_at,
    met.last_seen_at
from {{ ref('new_sets') }} as met
left join {{ ref('repeated_sets') }} as again on again.arrival = met.arrival
where again.arrival is null
{%- else -%}
{{ distinct_sets(ref('messages')) }}
{%- endif %}
