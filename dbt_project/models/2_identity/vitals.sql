-- How identity stood after each build: what the check `identity_does_not_jump` compares. One row per build, never rebuilt.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}

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
    people.largest_profile
from {{ ref('current_build') }} as current_build
cross join staged
cross join changed
cross join refused
cross join people
