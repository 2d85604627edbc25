-- Every person, with the traits of the catalogue as columns. One row per person.
with seen as (
    select
        profile_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        max(
            case when identifier_type in ('user_id', 'email', 'phone') then 1 else 0 end
        ) = 1 as is_known
    from {{ ref('identifiers') }}
    group by profile_id
),

known_traits as (
    {{ traits_in_a_row(ref('traits')) }}
)

select
    seen.profile_id,
    seen.first_seen_at,
    seen.last_seen_at,
    seen.is_known
    {{- trait_columns('known_traits') }}
from seen
left join known_traits on known_traits.profile_id = seen.profile_id
