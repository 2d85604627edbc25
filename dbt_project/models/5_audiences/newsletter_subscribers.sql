-- People who allow e-mail marketing and whose address we know. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where
    {{ has_consent('gdpr', 'email_marketing') }}
    and {{ trait('email', 'exists') }}
