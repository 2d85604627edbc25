-- The fate of everything that landed. One row per landed record. It is written last, once messages
-- and refused hold their share, so a build that dies in between takes the same batches in again.
-- depends_on: {{ ref('messages') }}
-- depends_on: {{ ref('refused') }}
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='batch_id'
) }}

{% if holds_any(ref('fates'), {'envelopes': 'item_no > 0'}).envelopes %}
select
    batch_id,
    record_no,
    source,
    stream,
    -- An envelope counts as accepted when any message in it was.
    case
        when max(case when fate = 'accepted' then 1 else 0 end) = 1 then 'accepted'
        when max(case when fate = 'quarantined' then 1 else 0 end) = 1 then 'quarantined'
        else 'duplicate'
    end as fate,
    batch_seq,
    max(record_key) as record_key,
    max(record_hash) as record_hash
from {{ ref('fates') }}
group by batch_id, record_no, source, stream, batch_seq
{% else %}
-- Each record is a message.
select
    batch_id,
    record_no,
    source,
    stream,
    fate,
    batch_seq,
    record_key,
    record_hash
from {{ ref('fates') }}
{% endif %}
