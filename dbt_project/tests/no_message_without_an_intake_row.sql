-- A message in the warehouse comes from a landed record that was accepted. A row here is a message
-- without one.
{% set first_seq = first_batch_to_check() %}

select messages.message_id
from {{ ref('messages') }} as messages
left join {{ ref('intake') }} as intake
    on
        intake.batch_id = messages.batch_id
        and intake.fate = 'accepted'
        and intake.batch_seq >= {{ first_seq }}
where messages.batch_seq >= {{ first_seq }} and intake.batch_id is null
