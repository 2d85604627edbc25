-- Good customers who have gone quiet: write before they forget us. One row per member.
select profile_id
from {{ ref('lifetime_value') }}
where
    lifetime_value_usd >= 500
    and last_order_at <= {{ as_of_minus(days=60) }}
