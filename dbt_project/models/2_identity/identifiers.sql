-- Who owns each identifier. One row per (identifier_type, identifier_value).
-- A build writes the rows that it met, and those of profiles that were absorbed.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='identifier', on_schema_change='append_new_columns',
    pre_hook=['{{ start_over() }}', '{{ written_for_this_build() }}'], post_hook='{{ written_to_stay() }}'
) }}
-- depends_on: {{ ref('components') }}
-- depends_on: {{ ref('founders') }}
-- depends_on: {{ ref('splits') }}
-- depends_on: {{ ref('merges') }}
{% set earlier_identifiers = earlier_identity('identifiers') %}

select
    met.identifier_type,
    met.identifier_value,
    met.profile_id,
    {% if earlier_identifiers %}
    -- Without a time where every message of this build dropped it.
    case
        when met.first_seen_at is null or known.first_seen_at < met.first_seen_at then known.first_seen_at else met.first_seen_at
    end as first_seen_at,
    case
        when met.last_seen_at is null or known.last_seen_at > met.last_seen_at then known.last_seen_at else met.last_seen_at
    end as last_seen_at,
    {% else %}
    met.first_seen_at,
    met.last_seen_at,
    {% endif %}
    met.identifier,
    met.founded_at
from {{ ref('ownership') }} as met
{% if earlier_identifiers %}
left join {{ earlier_identifiers }} as known on known.identifier = met.identifier
union all
select
    known.identifier_type,
    known.identifier_value,
    founders.profile_id,
    known.first_seen_at,
    known.last_seen_at,
    known.identifier,
    founders.founded_at
from {{ earlier_identifiers }} as known
inner join {{ ref('components') }} as components on components.node = known.founded_at
inner join {{ ref('founders') }} as founders on founders.founded_at = components.root
left join {{ ref('ownership') }} as met on met.identifier = known.identifier
where met.identifier is null
{% endif %}
