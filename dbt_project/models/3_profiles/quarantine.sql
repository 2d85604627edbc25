-- What was refused and why: whole records, and single fields of messages that stay. One row per
-- refusal. It stands in schema staging, beside the fates that it explains.
{{ config(materialized='view', schema='staging') }}

select
    batch_id,
    record_no,
    message_id,
    source,
    stream,
    scope,
    reason,
    field,
    payload,
    detail,
    batch_seq,
    file,
    file_record_no
from {{ ref('refused') }}
union all
select
    batch_id,
    record_no,
    message_id,
    source,
    stream,
    'field' as scope,
    reason,
    field,
    payload,
    detail,
    batch_seq,
    file,
    file_record_no
from {{ ref('wrong_types') }}
