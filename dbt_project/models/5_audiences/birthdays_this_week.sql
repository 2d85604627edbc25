-- Whose birthday is today or in the next six days, for the card. One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where {{ trait('birth_date', 'anniversary', 6, type='timestamp') }}
