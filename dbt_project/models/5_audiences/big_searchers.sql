-- People who search a lot and have not found their trip yet. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where
    {{ attribute('trips_searched_30d', 'trips_searched_30d', '>=', 4) }}
    and not {{ performed('Order Completed', last_days=30) }}
