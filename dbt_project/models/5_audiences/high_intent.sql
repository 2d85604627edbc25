-- People who searched for a trip, looked at one and put one into the cart within an hour, whom much
-- is to be expected of, and who have not ordered: a call may help. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where
    {{ performed_sequence(
        ['Trip Searched', 'Product Viewed', 'Product Added'], within_hours=1, last_days=14,
    ) }}
    and {{ attribute('behaviour', 'propensity_score', '>=', 75) }}
    and not {{ performed('Order Completed', last_days=14) }}
