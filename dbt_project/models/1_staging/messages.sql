-- Every accepted message, in one shape whatever its source. One row per message_id, in arrival order.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='batch_id') }}

select
    message_id,
    source,
    stream,
    batch_id,
    batch_seq,
    cast(arrival as {{ dbt.type_bigint() }}) as arrival,
    type,
    event_name,
    occurred_at,
    received_at,
    landed_at,
    identifiers,
    traits,
    properties,
    context,
    consent,
    context_traits
from {{ ref('arrivals') }}
where fate = 'accepted'
