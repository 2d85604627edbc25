-- Identifiers that left a profile because an operator or another rule set said so: what a
-- resolution from the beginning changed against the people before it, other than merges. One row
-- per pair of profiles and resolution; never rebuilt.
{{ config(
    materialized='incremental', incremental_strategy='append', full_refresh=false,
    pre_hook='{{ forget_unfinished_splits() }}'
) }}
-- depends_on: {{ ref('touched_profiles') }}
-- depends_on: {{ ref('surviving_profiles') }}
{% set before = people_before() %}

select
    moved.from_profile_id,
    moved.into_profile_id,
    (select current_build.as_of from {{ ref('current_build') }} as current_build) as split_at,
    moved.identifier_type,
    moved.identifier_value,
    (
        select current_resolution.resolution_no
        from {{ ref('current_resolution') }} as current_resolution
    ) as resolution_no
from (
    {% if before %}
    select
        before.profile_id as from_profile_id,
        new_owners.profile_id as into_profile_id,
        new_owners.identifier_type,
        new_owners.identifier_value,
        row_number() over (
            partition by before.profile_id, new_owners.profile_id
            order by
                {{ identifier_priority('new_owners.identifier_type') }},
                new_owners.identifier_type, new_owners.identifier_value
        ) as place
    from {{ ref('new_owners') }} as new_owners
    inner join {{ before }} as before
        on before.identifier = new_owners.identifier and before.profile_id <> new_owners.profile_id
    left join {{ ref('touched_profiles') }} as absorbed on absorbed.profile_id = before.profile_id
    left join {{ ref('surviving_profiles') }} as surviving_profiles
        on surviving_profiles.founded_at = absorbed.founded_at
    where
        surviving_profiles.survives_in is null
        or surviving_profiles.survives_in <> new_owners.founded_at
    {% else %}
    select
        profile_id as from_profile_id,
        profile_id as into_profile_id,
        identifier_type,
        identifier_value,
        0 as place
    from {{ ref('new_owners') }}
    where 1 = 0
    {% endif %}
) as moved
where moved.place = 1
