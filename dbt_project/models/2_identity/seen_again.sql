-- Sets of identifiers in the messages of this build that an earlier one had met: they change nobody, because limits hold for
-- ever and profiles only grow, so all that is new of them is when they were seen. One row per such set: its arrival in
-- seen_tuples, and the one in tuples.
{{ config(materialized='intermediate') }}
-- depends_on: {{ ref('resolution') }}
{% set earlier_tuples = earlier_identity('tuples') %}

select
    met.arrival,
    {% if earlier_tuples %}known.arrival{% else %}met.arrival{% endif %} as first_arrival,
    met.first_seen_at,
    met.last_seen_at
from {{ ref('seen_tuples') }} as met
{% if earlier_tuples %}
inner join {{ earlier_tuples }} as known on known.identifiers = met.identifiers
where known.arrival <= {{ after_arrival() }}
{% else %}
where 1 = 0
{% endif %}
