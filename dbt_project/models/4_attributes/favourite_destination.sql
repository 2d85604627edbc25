-- The destination a person looked at or booked most often; of equals the alphabetically first.
-- One row per person with any destination.
with looked_at as (
    select
        profile_id,
        {{ json_text('properties', ['destination']) }} as destination
    from {{ ref('events') }}
    where
        type = 'track'
        and profile_id is not null
        and properties is not null
        and {{ happened('occurred_at') }}
),

counted as (
    select
        profile_id,
        destination,
        count(*) as times
    from looked_at
    where destination is not null
    group by profile_id, destination
),

ranked as (
    select
        *,
        row_number() over (partition by profile_id order by times desc, destination asc) as place
    from counted
)

select
    profile_id,
    destination as favourite_destination
from ranked
where place = 1
