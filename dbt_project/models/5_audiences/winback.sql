-- Customers who used to order often and have stopped. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where
    {{ attribute('rfm', 'rfm_segment', 'in', ['at_risk', 'cannot_lose']) }}
    and {{ has_consent('gdpr', 'email_marketing') }}
