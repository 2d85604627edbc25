-- Every message with the person it belongs to now. One row per message; profile_id is null where nobody could be told.
-- A build adds new messages and rewrites those whose person changed.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='message_id') }}

select
    messages.message_id,
    owners.profile_id,
    messages.type,
    messages.event_name,
    messages.occurred_at,
    messages.received_at,
    messages.source,
    messages.properties,
    messages.arrival
from {{ ref('messages') }} as messages
left join {{ ref('owners') }} as owners on owners.identifiers = messages.identifiers
{% if is_incremental() %}
left join {{ this }} as earlier on earlier.message_id = messages.message_id
where earlier.message_id is null or coalesce(earlier.profile_id, '') <> coalesce(owners.profile_id, '')
{% endif %}
