-- What this build takes in: every message in the batches that no earlier build read, with its fate.
-- One row per message found in a landed record; replaced by each build.
-- depends_on: {{ ref('builds') }}
{% set streams = {
    ('crm', 'customers'): ref('stg_crm__customers'),
    ('email', 'engagement'): ref('stg_email__engagement'),
    ('inbox', 'messages'): ref('stg_inbox__messages'),
    ('shop', 'orders'): ref('stg_shop__orders'),
    ('shop', 'refunds'): ref('stg_shop__refunds'),
    ('web', 'events'): ref('stg_web__events'),
} %}
{% set window = build_window() %}
{% set known_messages = earlier('messages') %}
{% set known_records = earlier('intake') %}

with candidates as (
    {% for (source_name, stream_name), relation in streams.items() %}
    select
        cast('{{ source_name }}' as {{ dbt.type_string() }}) as source,
        cast('{{ stream_name }}' as {{ dbt.type_string() }}) as stream,
        {{ candidate_columns() }}
    from {{ relation }}
    where batch_seq > {{ window.after }} and batch_seq <= {{ window.through }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- Why a record cannot become a message. The first reason that applies is the one that is told.
judged as (
    select
        candidates.*,
        case
            when read_error is not null then 'unreadable'
            when payload is null then 'unreadable'
            when message_id is null and record_key is null and missing_field is null then 'not_an_object'
            when missing_field is not null then 'missing_field'
            when type not in ('identify', 'track', 'page', 'screen', 'group', 'alias') then 'unknown_type'
            when occurred_is_impossible then 'impossible_timestamp'
            when identifiers = '[]' and not coalesce({{ has_text('previous_id') }}, false) then 'no_identifier'
            when occurred_at > {{ plus('received_at', hours=24) }} then 'future_timestamp'
        end as reason
    from candidates
),

-- A keyed snapshot repeats every row each time: a row equal to its key's latest version is a duplicate.
versions as (
    select
        source,
        stream,
        record_key,
        record_hash,
        batch_seq,
        record_no,
        true as is_new
    from judged
    where record_key is not null and reason is null
    {% if known_records %}
    union all
    select
        known.source,
        known.stream,
        known.record_key,
        known.record_hash,
        known.batch_seq,
        known.record_no,
        false as is_new
    from {{ known_records }} as known
    where known.record_key is not null and known.fate = 'accepted' and known.batch_seq <= {{ window.after }}
    {% endif %}
),

compared as (
    select
        *,
        lag(record_hash) over (partition by source, stream, record_key order by batch_seq, record_no) as earlier_hash
    from versions
),

repeats as (
    select
        source,
        stream,
        batch_seq,
        record_no
    from compared
    where is_new and record_hash = earlier_hash
),

identified as (
    select
        judged.*,
        repeats.record_no is not null as is_repeat,
        coalesce(
            judged.message_id,
            case when judged.record_key is not null then {{ dbt.hash(
                "judged.source || '|' || judged.stream || '|' || judged.record_key || '|' || judged.record_hash || '|' || judged.batch_id"
            ) }} end
        ) as final_message_id
    from judged
    left join repeats
        on
            repeats.source = judged.source
            and repeats.stream = judged.stream
            and repeats.batch_seq = judged.batch_seq
            and repeats.record_no = judged.record_no
            and judged.record_key is not null
),

-- Arrival order: within a batch as the lines stand in their files, unless received_at says more.
placed as (
    select
        identified.*,
        row_number() over (order by batch_seq, received_at, record_no, item_no) as place
    from identified
),

ranked as (
    select
        placed.*,
        row_number() over (partition by final_message_id, reason is null and not is_repeat order by place) as occurrence
    from placed
),

fated as (
    select
        ranked.*,
        case
            when ranked.reason is not null then 'quarantined'
            when ranked.is_repeat or ranked.occurrence > 1 then 'duplicate'
            {% if known_messages %}
            when known.message_id is not null then 'duplicate'
            {% endif %}
            else 'accepted'
        end as fate
    from ranked
    {% if known_messages %}
    left join {{ known_messages }} as known
        on known.message_id = ranked.final_message_id and known.batch_seq <= {{ window.after }}
    {% endif %}
),

-- An alias names an earlier user_id where one is known by then, however it is spelled, otherwise an anonymous_id.
user_ids as (
    select
        {{ json_text('identifiers', [0, 'value']) }} as user_id,
        place
    from fated
    where fate = 'accepted' and {{ json_text('identifiers', [0, 'type']) }} = 'user_id'
    {% if known_messages %}
    union all
    select
        {{ json_text('known.identifiers', [0, 'value']) }} as user_id,
        0 as place
    from {{ known_messages }} as known
    where known.batch_seq <= {{ window.after }} and {{ json_text('known.identifiers', [0, 'type']) }} = 'user_id'
    {% endif %}
),

spelled_user_ids as (
    select
        {{ spelled_identifier("'user_id'", 'user_id') }} as user_id,
        place
    from user_ids
),

spelled_aliases as (
    select
        {{ spelled_identifier("'user_id'", 'previous_id') }} as previous_id,
        place,
        final_message_id
    from fated
    where previous_id is not null
),

user_aliases as (
    select distinct aliases.final_message_id
    from spelled_aliases as aliases
    inner join spelled_user_ids as user_ids on user_ids.user_id = aliases.previous_id and user_ids.place < aliases.place
)

select
    fated.source,
    fated.stream,
    fated.batch_id,
    fated.batch_seq,
    fated.record_no,
    fated.item_no,
    fated.landed_at,
    fated.file,
    fated.record_key,
    fated.record_hash,
    fated.fate,
    fated.reason,
    case
        when fated.reason = 'missing_field' then fated.missing_field
        when fated.reason = 'unknown_type' then 'type'
        when fated.reason in ('impossible_timestamp', 'future_timestamp') then 'timestamp'
    end as field,
    case
        when fated.reason = 'unreadable' then fated.read_error
        when fated.reason = 'unknown_type' then fated.type
        -- The field may be there, and hold what it cannot.
        when fated.reason in ('missing_field', 'no_identifier') then fated.unusable_field
        when fated.reason in ('impossible_timestamp', 'future_timestamp') then fated.occurred_text
    end as detail,
    nullif('[' || {{ join_parts([inner_faults('fated.field_faults'), inner_faults('fated.unusable_field')]) }} || ']', '[]')
        as unusable_field,
    case
        when fated.fate <> 'accepted' or fated.field_faults is not null or fated.unusable_field is not null then fated.payload
    end as payload,
    fated.final_message_id as message_id,
    fated.type,
    fated.event_name,
    fated.occurred_at,
    fated.received_at,
    case
        when fated.previous_id is null then fated.identifiers
        else
            substring(fated.identifiers, 1, length(fated.identifiers) - 1)
            || case when fated.identifiers = '[]' then '' else ',' end
            || '{"type":"' || case when user_aliases.final_message_id is null then 'anonymous_id' else 'user_id' end
            || '","value":' || {{ json_quote('fated.previous_id') }} || '}]'
    end as identifiers,
    fated.traits,
    -- What else an identify says of the person; it counts behind traits.
    case
        when fated.type = 'identify' and fated.context like '%"traits"%' then {{ json_text('fated.context', ['traits']) }}
    end as context_traits,
    fated.properties,
    fated.context,
    fated.consent,
    case when fated.fate = 'accepted' then
        {% if known_messages %}(select coalesce(max(known.arrival), 0) from {{ known_messages }} as known
            where known.batch_seq <= {{ window.after }}) + {% endif %}row_number() over (
            partition by fated.fate = 'accepted'
            order by fated.place
        )
    end as arrival
from fated
left join user_aliases on user_aliases.final_message_id = fated.final_message_id and fated.previous_id is not null
