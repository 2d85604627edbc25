-- Identifiers that left a profile because an operator or another rule set said so: what a resolution from the beginning
-- changed against the people before it, other than merges. One row per pair of profiles and resolution; never rebuilt.
{{ config(
    materialized='incremental', incremental_strategy='append', full_refresh=false,
    pre_hook='{{ forget_unfinished_splits() }}'
) }}
-- depends_on: {{ ref('founders') }}
-- depends_on: {{ ref('components') }}
{% set before = people_before() %}

select
    moved.from_profile_id,
    moved.into_profile_id,
    (select current_build.as_of from {{ ref('current_build') }} as current_build) as split_at,
    moved.identifier_type,
    moved.identifier_value,
    (select resolution.resolution_no from {{ ref('resolution') }} as resolution) as resolution_no
from (
    {% if before %}
    select
        before.profile_id as from_profile_id,
        ownership.profile_id as into_profile_id,
        ownership.identifier_type,
        ownership.identifier_value,
        row_number() over (
            partition by before.profile_id, ownership.profile_id
            order by
                {{ identifier_priority('ownership.identifier_type') }},
                ownership.identifier_type, ownership.identifier_value
        ) as place
    from {{ ref('ownership') }} as ownership
    inner join {{ before }} as before
        on before.identifier = ownership.identifier and before.profile_id <> ownership.profile_id
    left join {{ ref('founders') }} as absorbed on absorbed.profile_id = before.profile_id
    left join {{ ref('components') }} as components on components.node = absorbed.founded_at
    where components.root is null or components.root <> ownership.founded_at
    {% else %}
    select
        profile_id as from_profile_id,
        profile_id as into_profile_id,
        identifier_type,
        identifier_value,
        0 as place
    from {{ ref('ownership') }}
    where 1 = 0
    {% endif %}
) as moved
where moved.place = 1
