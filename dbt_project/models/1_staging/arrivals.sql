-- What this build takes in: every message in the batches that no earlier build read, and why it
-- cannot become one of ours. One row per message found in a landed record; replaced by each build.
-- depends_on: {{ ref('builds') }}
{{ config(materialized='intermediate') }}

{% set streams = {
    ('crm', 'customers'): ref('stg_crm__customers'),
    ('email', 'engagement'): ref('stg_email__engagement'),
    ('inbox', 'messages'): ref('stg_inbox__messages'),
    ('shop', 'orders'): ref('stg_shop__orders'),
    ('shop', 'refunds'): ref('stg_shop__refunds'),
    ('web', 'events'): ref('stg_web__events'),
} %}
{% set window = build_window() %}
{% set has_faults = 'field_faults is not null or unusable_field is not null' %}

with candidates as (
    {% for (source_name, stream_name), relation in with_news(streams, window).items() %}
    select
        cast('{{ source_name }}' as {{ dbt.type_string() }}) as source,
        cast('{{ stream_name }}' as {{ dbt.type_string() }}) as stream,
        {{ candidate_columns() }}
    from {{ relation }}
    where batch_seq > {{ window.after }} and batch_seq <= {{ window.through }}
    {% if not loop.last %}union all{% endif %}
    {% else %}
    {{ no_candidates() }}
    {% endfor %}
),

-- Why a record cannot become a message. The first reason that applies is the one that is shown.
judged as (
    select
        candidates.*,
        case
            when read_error is not null then 'unreadable'
            when payload is null then 'unreadable'
            when
                message_id is null and record_key is null and record_hash is null
                and missing_field is null then 'not_an_object'
            when missing_field is not null then 'missing_field'
            when
                type not in ('identify', 'track', 'page', 'screen', 'group', 'alias')
                then 'unknown_type'
            when occurred_is_impossible then 'impossible_timestamp'
            when
                identifiers = '[]'
                and not coalesce({{ has_text('previous_id') }}, false) then 'no_identifier'
            when occurred_at > {{ plus('received_at', hours=24) }} then 'future_timestamp'
        end as reason
    from candidates
)

select
    source,
    stream,
    batch_id,
    batch_seq,
    record_no,
    item_no,
    landed_at,
    file,
    record_key,
    record_hash,
    reason,
    case
        when reason = 'missing_field' then missing_field
        when reason = 'unknown_type' then 'type'
        when reason in ('impossible_timestamp', 'future_timestamp') then 'timestamp'
    end as field,
    case
        when reason = 'unreadable' then read_error
        when reason = 'unknown_type' then type
        -- The field may be there, and hold what it cannot.
        when reason in ('missing_field', 'no_identifier') then unusable_field
        when reason in ('impossible_timestamp', 'future_timestamp') then occurred_text
    end as detail,
    case
        when {{ has_faults }}
            then nullif('[' || {{ join_parts([
                inner_faults('field_faults'), inner_faults('unusable_field'),
            ]) }} || ']', '[]')
    end as unusable_field,
    -- What the quarantine will show.
    case
        when reason is not null or {{ has_faults }} then payload
    end as payload,
    message_id,
    type,
    event_name,
    occurred_at,
    received_at,
    identifiers,
    previous_id,
    traits,
    -- What else an identify says of the person; it counts behind traits.
    case
        when type = 'identify' and context like '%"traits"%'
            then {{ json_text('context', ['traits']) }}
    end as context_traits,
    properties,
    context,
    consent
from judged
