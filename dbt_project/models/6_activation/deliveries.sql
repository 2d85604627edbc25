-- The ledger: each attempt at delivering one operation, as delivery wrote it. One row per attempt; append-only.
{{ config(materialized='view') }}
-- Its check looks at what was delivered since the build before this one: builds comes first.
-- depends_on: {{ ref('builds') }}

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
