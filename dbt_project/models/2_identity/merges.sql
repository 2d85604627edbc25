-- Each change of ownership: the absorbed profile, the surviving one (the older), and the link that joined them.
-- One row per merge.
select
    'merge' as kind,
    md5(absorbed.message_id) as from_profile_id,
    md5(surviving.message_id) as into_profile_id,
    linking.received_at as merged_at,
    linking.message_id,
    placements.identifier_type,
    placements.identifier_value
from {{ ref('absorptions') }} as absorptions
inner join {{ ref('tuples') }} as absorbed on absorbed.arrival = absorptions.node
inner join {{ ref('tuples') }} as surviving on surviving.arrival = absorptions.root
inner join {{ ref('tuples') }} as linking on linking.arrival = absorptions.arrival
inner join {{ ref('placements') }} as placements on placements.identifier_no = absorptions.identifier_no
