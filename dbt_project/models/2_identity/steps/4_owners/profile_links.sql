-- Messages that carry identifiers of more than one founded profile, with the strongest identifiers
-- on either side, which make the link. One row per pair of profiles that a message joins.
{{ config(materialized='intermediate') }}
with sides as (
    select
        accepted.arrival,
        accepted.stands_with,
        coalesce(joined_sets.founded_at, accepted.stands_at) as founded_at
    from {{ ref('accepted_links') }} as accepted
    left join {{ ref('joined_sets') }} as joined_sets on joined_sets.arrival = accepted.stands_at
    where accepted.stands_at < accepted.arrival
),

joining as (
    select
        arrival,
        min(founded_at) as oldest
    from sides
    group by arrival
    having min(founded_at) < max(founded_at)
),

numbered as (
    select
        identifiers.identifier,
        row_number() over (
            order by
                {{ identifier_priority('identifiers.identifier_type') }},
                identifiers.identifier_type, identifiers.identifier_value
        ) as strength
    from {{ ref('met_identifiers') }} as identifiers
    where
        identifiers.identifier in (
            select sides.stands_with
            from sides
            inner join joining on joining.arrival = sides.arrival
        )
),

strongest as (
    select
        sides.arrival,
        sides.founded_at,
        joining.oldest,
        min(numbered.strength) as strength
    from sides
    inner join joining on joining.arrival = sides.arrival
    inner join numbered on numbered.identifier = sides.stands_with
    group by sides.arrival, sides.founded_at, joining.oldest
)

select
    younger.arrival,
    older.founded_at as older_profile,
    younger.founded_at as younger_profile,
    older.strength as older_strength,
    younger.strength as younger_strength,
    older_name.identifier as older_identifier,
    younger_name.identifier as younger_identifier
from strongest as younger
inner join strongest as older
    on older.arrival = younger.arrival and older.founded_at = younger.oldest
inner join numbered as older_name on older_name.strength = older.strength
inner join numbered as younger_name on younger_name.strength = younger.strength
where younger.founded_at > younger.oldest
