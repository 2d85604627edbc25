-- How many members two audiences have in common. One row per ordered pair that has any.
{{ config(materialized='view') }}

with sizes as (
    select
        audience,
        count(*) as members
    from {{ ref('current_members') }}
    group by audience
),

pairs as (
    select
        one.audience as audience_a,
        other.audience as audience_b,
        count(*) as members_of_both
    from {{ ref('current_members') }} as one
    inner join {{ ref('current_members') }} as other
        on other.profile_id = one.profile_id and other.audience <> one.audience
    group by one.audience, other.audience
)

select
    pairs.audience_a,
    pairs.audience_b,
    cast(pairs.members_of_both as {{ dbt.type_bigint() }}) as members_of_both,
    cast(pairs.members_of_both as {{ type_double() }}) / sizes.members as share_of_a
from pairs
inner join sizes on sizes.audience = pairs.audience_a
