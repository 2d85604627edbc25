-- People who allow e-mail marketing and whose address we know. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
inner join {{ consented('gdpr', 'email_marketing') }} as granted
    on granted.profile_id = people.profile_id
where people.email is not null
