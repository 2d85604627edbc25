-- How identity stood after each build: what the check `identity_does_not_jump` compares. One row
-- per build, never rebuilt. A resolution that goes on counts what it changed: people only come,
-- grow and merge.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}
-- depends_on: {{ ref('touched_profiles') }}
-- depends_on: {{ ref('surviving_profiles') }}
{% set before = vitals_before() %}

{% if before -%}
with founded as (
    select count(distinct identifiers.founded_at) as profiles
    from {{ ref('identifiers') }} as identifiers
    where identifiers.founded_at > {{ after_arrival() }}
),

absorbed as (
    select count(*) as profiles
    from {{ ref('surviving_profiles') }} as surviving_profiles
    where surviving_profiles.founded_at <= {{ after_arrival() }}
),

sizes as (
    select count(*) as held
    from {{ ref('identifiers') }} as identifiers
    inner join {{ ref('touched_profiles') }} as touched_profiles
        on touched_profiles.founded_at = identifiers.founded_at
    group by identifiers.founded_at
),

touched as (
    select coalesce(max(held), 0) as largest_profile
    from sizes
),

held as (
    select count(*) as identifiers
    from {{ ref('identifiers') }}
),

people as (
    select
        {{ before.profiles }} + founded.profiles - absorbed.profiles as profiles,
        held.identifiers,
        case
            when touched.largest_profile > {{ before.largest_profile }} then touched.largest_profile
            else {{ before.largest_profile }}
        end as largest_profile
    from founded
    cross join absorbed
    cross join touched
    cross join held
),
{%- else -%}
with sizes as (
    select
        founded_at,
        count(*) as held
    from {{ ref('identifiers') }}
    group by founded_at
),

people as (
    select
        count(*) as profiles,
        cast(coalesce(sum(held), 0) as {{ dbt.type_bigint() }}) as identifiers,
        coalesce(max(held), 0) as largest_profile
    from sizes
),
{%- endif %}

staged as (
    select count(*) as messages
    from {{ ref('messages') }}
),

changed as (
    select count(*) as merged
    from {{ ref('merges') }}
    where kind = 'merge'
),

refused as (
    select count(*) as refusals
    from {{ ref('refusals') }}
)

select
    current_build.build_id,
    current_build.as_of,
    staged.messages,
    changed.merged,
    refused.refusals,
    people.profiles,
    people.identifiers,
    people.largest_profile,
    current_resolution.resolution_no
from {{ ref('current_build') }} as current_build
cross join {{ ref('current_resolution') }} as current_resolution
cross join staged
cross join changed
cross join refused
cross join people
