-- A message in the warehouse comes from a landed record that was accepted.
-- A row here is a message without one.
select messages.message_id
from {{ ref('messages') }} as messages
left join {{ ref('intake') }} as intake
    on intake.batch_id = messages.batch_id and intake.fate = 'accepted'
where intake.batch_id is null
