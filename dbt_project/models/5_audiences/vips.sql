-- People who brought 2,000 USD or more, net of refunds. One row per member.
select profile_id
from {{ ref('lifetime_value') }}
where lifetime_value_usd >= 2000
