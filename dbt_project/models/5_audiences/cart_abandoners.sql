-- People who put a trip into their cart in the last 7 days and have not ordered since (what was
-- cancelled is no order). One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where {{ abandoned(
    'Product Added',
    ('Order Completed', [('status', 'not_equals', 'cancelled')]),
    waits_hours=0,
    within_days=7,
) }}
