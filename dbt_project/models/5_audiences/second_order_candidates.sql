-- People who ordered once, a month ago or longer, and may get mail: the second order makes a
-- customer. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where
    {{ attribute('order_count', 'order_count', '=', 1) }}
    and {{ attribute('days_since_last_order', 'days_since_last_order', '>=', 30) }}
    and {{ member_of('newsletter_subscribers') }}
