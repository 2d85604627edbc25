-- The fate of each message that this build takes in, judged by keys and times alone: what messages say stays in arrivals.
-- One row per row of arrivals, told by (batch_seq, record_no, item_no); replaced by each build.
{{ config(materialized='intermediate') }}

{% set window = build_window() %}
{% set arriving = holds_any(ref('arrivals'), {
    'anything': 'batch_seq is not null', 'snapshots': 'record_key is not null', 'aliases': 'previous_id is not null'
}) %}
{% set known_messages = earlier('messages') if arriving.anything %}
{% set known_records = earlier('intake') if arriving.anything %}

with arriving as (
    select
        source,
        stream,
        batch_id,
        batch_seq,
        record_no,
        item_no,
        received_at,
        record_key,
        record_hash,
        message_id,
        reason is not null as is_refused
    from {{ ref('arrivals') }}
),

{% if arriving.snapshots %}
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
    from arriving
    where record_key is not null and not is_refused
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
        batch_seq,
        record_no
    from compared
    where is_new and record_hash = earlier_hash
),
{% endif %}

identified as (
    {% if arriving.snapshots %}
    select
        arriving.*,
        repeats.record_no is not null as is_repeat,
        coalesce(
            arriving.message_id,
            case when arriving.record_key is not null then {{ dbt.hash(
                "arriving.source || '|' || arriving.stream || '|' || arriving.record_key || '|' || arriving.record_hash || '|' || arriving.batch_id"
            ) }} end
        ) as final_message_id
    from arriving
    left join repeats
        on
            repeats.batch_seq = arriving.batch_seq
            and repeats.record_no = arriving.record_no
            and arriving.record_key is not null
    {% else %}
    select
        arriving.*,
        1 = 0 as is_repeat,
        message_id as final_message_id
    from arriving
    {% endif %}
),

-- Arrival order: within a batch as the lines stand in their files, unless received_at says more.
ranked as (
    select
        identified.*,
        row_number() over (
            partition by final_message_id, not is_refused and not is_repeat
            order by batch_seq, received_at, record_no, item_no
        ) as occurrence
    from identified
),

fated as (
    select
        ranked.*,
        case
            when ranked.is_refused then 'quarantined'
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

numbered as (
    select
        fated.*,
        case when fate = 'accepted' then
            {% if known_messages %}(select coalesce(max(known.arrival), 0) from {{ known_messages }} as known
                where known.batch_seq <= {{ window.after }}) + {% endif %}row_number() over (
                partition by fate = 'accepted'
                order by batch_seq, received_at, record_no, item_no
            )
        end as arrival
    from fated
){% if arriving.aliases %},

-- An alias names an earlier user_id where one is known by then, however it is spelled, otherwise an anonymous_id.
user_ids as (
    select
        {{ json_text('arrivals.identifiers', [0, 'value']) }} as user_id,
        numbered.arrival
    from numbered
    inner join {{ ref('arrivals') }} as arrivals
        on
            arrivals.batch_seq = numbered.batch_seq
            and arrivals.record_no = numbered.record_no
            and arrivals.item_no = numbered.item_no
    where
        numbered.fate = 'accepted'
        and arrivals.identifiers like '%"user_id"%' and {{ json_text('arrivals.identifiers', [0, 'type']) }} = 'user_id'
    {% if known_messages %}
    union all
    select
        {{ json_text('known.identifiers', [0, 'value']) }} as user_id,
        0 as arrival
    from {{ known_messages }} as known
    where
        known.batch_seq <= {{ window.after }}
        and known.identifiers like '%"user_id"%' and {{ json_text('known.identifiers', [0, 'type']) }} = 'user_id'
    {% endif %}
),

spelled_user_ids as (
    select
        {{ spelled_identifier("'user_id'", 'user_id') }} as user_id,
        arrival
    from user_ids
),

spelled_aliases as (
    select
        {{ spelled_identifier("'user_id'", 'arrivals.previous_id') }} as previous_id,
        numbered.arrival
    from numbered
    inner join {{ ref('arrivals') }} as arrivals
        on
            arrivals.batch_seq = numbered.batch_seq
            and arrivals.record_no = numbered.record_no
            and arrivals.item_no = numbered.item_no
    where numbered.fate = 'accepted' and arrivals.previous_id is not null
),

user_aliases as (
    select distinct aliases.arrival
    from spelled_aliases as aliases
    inner join spelled_user_ids as user_ids on user_ids.user_id = aliases.previous_id and user_ids.arrival < aliases.arrival
){% endif %}

select
    numbered.batch_id,
    numbered.batch_seq,
    numbered.record_no,
    numbered.item_no,
    numbered.source,
    numbered.stream,
    numbered.record_key,
    numbered.record_hash,
    numbered.fate,
    numbered.final_message_id as message_id,
    numbered.arrival,
    {{ 'user_aliases.arrival is not null' if arriving.aliases else '1 = 0' }} as names_user_id
from numbered
{% if arriving.aliases %}
left join user_aliases on user_aliases.arrival = numbered.arrival
{% endif %}
