-- Who owns each identifier. One row per (identifier_type, identifier_value). A build writes the
-- rows of sets that it met first, and of profiles that were absorbed; then the times of what it saw
-- again.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='identifier',
    on_schema_change='append_new_columns',
    pre_hook=['{{ start_over() }}', '{{ written_for_this_build() }}'],
    post_hook=['{{ written_to_stay() }}', '{{ times_of_what_was_seen_again() }}']
) }}
-- depends_on: {{ ref('surviving_profiles') }}
-- depends_on: {{ ref('touched_profiles') }}
-- depends_on: {{ ref('splits') }}
-- depends_on: {{ ref('renamings') }}
-- depends_on: {{ ref('merges') }}
-- depends_on: {{ ref('met_identifiers') }}
-- depends_on: {{ ref('kept') }}
-- depends_on: {{ ref('repeated_sets') }}
{% set earlier_identifiers = earlier_identity('identifiers') %}

select
    identifier_type,
    identifier_value,
    profile_id,
    first_seen_at,
    last_seen_at,
    identifier,
    founded_at
from {{ ref('new_owners') }}
{% if earlier_identifiers %}
union all
select
    known.identifier_type,
    known.identifier_value,
    touched_profiles.profile_id,
    known.first_seen_at,
    known.last_seen_at,
    known.identifier,
    touched_profiles.founded_at
from {{ earlier_identifiers }} as known
inner join {{ ref('surviving_profiles') }} as surviving_profiles
    on surviving_profiles.founded_at = known.founded_at
inner join {{ ref('touched_profiles') }} as touched_profiles
    on touched_profiles.founded_at = surviving_profiles.survives_in
left join {{ ref('met_identifiers') }} as met on met.identifier = known.identifier
where met.identifier is null
{% endif %}
