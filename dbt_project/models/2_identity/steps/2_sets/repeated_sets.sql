-- Sets of identifiers in the messages of this build that an earlier one had met. They change
-- nobody, because limits hold for ever and profiles only grow: all that is new of them is when they
-- were seen. One row per such set: its arrival in new_sets, and the one in identifier_sets.
{{ config(materialized='intermediate') }}
-- depends_on: {{ ref('current_resolution') }}
{% set earlier_sets = earlier_step('identifier_sets') %}

select
    met.arrival,
    {% if earlier_sets %}known.arrival{% else %}met.arrival{% endif %} as first_arrival,
    met.first_seen_at,
    met.last_seen_at
from {{ ref('new_sets') }} as met
{% if earlier_sets %}
inner join {{ earlier_sets }} as known on known.identifiers = met.identifiers
where known.arrival <= {{ after_arrival() }}
{% else %}
where 1 = 0
{% endif %}
