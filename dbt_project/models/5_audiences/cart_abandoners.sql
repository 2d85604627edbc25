-- People who put a trip into their cart in the last 7 days and have not ordered since.
-- One row per member.
with added as (
    select
        profile_id,
        max(occurred_at) as added_at
    from {{ ref('events') }}
    where
        type = 'track'
        and event_name = 'Product Added'
        and profile_id is not null
        and {{ happened('occurred_at', last_days=7) }}
    group by profile_id
)

select added.profile_id
from added
left join {{ ref('lifetime_value') }} as ordered
    on ordered.profile_id = added.profile_id and ordered.last_order_at >= added.added_at
where ordered.profile_id is null
