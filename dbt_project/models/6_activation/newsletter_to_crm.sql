-- What the CRM should hold about newsletter subscribers.
-- One row per member with consent to e-mail marketing.
select
    members.profile_id as row_key,
    members.profile_id,
    people.email,
    people.first_name,
    people.country,
    favourites.favourite_destination,
    granted.message_id as consent_message_id
from {{ ref('newsletter_subscribers') }} as members
inner join {{ ref('profiles') }} as people on people.profile_id = members.profile_id
inner join {{ consented('gdpr', 'email_marketing') }} as granted
    on granted.profile_id = members.profile_id
left join {{ ref('favourite_destination') }} as favourites
    on favourites.profile_id = members.profile_id
where people.email is not null
