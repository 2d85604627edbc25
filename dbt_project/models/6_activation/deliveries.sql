-- The ledger: each attempt at delivering one operation, as delivery wrote it.
-- One row per attempt; append-only.
{{ config(materialized='view') }}

select
    run_id,
    sync,
    row_key,
    profile_id,
    operation,
    status,
    attempt,
    code,
    message,
    payload_hash,
    identifiers_sent,
    consent_message_id,
    idempotency_key,
    attempted_at,
    destination,
    address
from {{ source('cdp', 'ledger') }}
