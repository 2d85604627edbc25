-- The fate of each message that this build takes in, judged by keys and times alone: what messages
-- say stays in arrivals. One row per row of arrivals, known by (batch_seq, record_no, item_no);
-- replaced by each build.
{{ config(materialized='intermediate') }}

{% set window = build_window() %}
{% set arriving = holds_any(ref('arrivals'), {
    'anything': 'batch_seq is not null',
    'snapshots': 'record_key is not null',
    'keyless': 'record_hash is not null and record_key is null and message_id is null',
    'aliases': 'previous_id is not null',
}) %}
{% set known_messages = earlier('messages') if arriving.anything %}
{% set known_records = earlier('intake') if arriving.anything %}
{% set arrivals_before = scalar(
    'select max(arrival) as last_arrival from ' ~ known_messages
    ~ ' where batch_seq <= ' ~ window.after
) or 0 if known_messages else 0 %}
{% set is_repeat = 'repeats.record_no is not null' if arriving.snapshots else '1 = 0' %}
{# What a record without an id and a key says stays in arrivals. #}
{% set record_hash = 'arriving.record_hash' if not arriving.keyless
    else 'case when arriving.record_key is not null then arriving.record_hash end' %}
{# The source's own id; of a record without one, the id of what it says; of a version of a
   snapshot's row, that of the version. #}
{% set ids = ['arriving.message_id'] %}
{% if arriving.keyless %}{% do ids.append('keyless.message_id') %}{% endif %}
{% if arriving.snapshots %}
{% set version_hash = dbt.hash(
    "arriving.source || '|' || arriving.stream || '|' || arriving.record_key || '|' "
    ~ "|| arriving.record_hash || '|' || arriving.batch_id"
) %}
{% do ids.append('case when arriving.record_key is not null then ' ~ version_hash ~ ' end') %}
{% endif %}

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

{% if arriving.keyless %}
-- Equal records without an id are told apart by their place among their equals in the file, so that
-- honest repeats stay.
keyless as (
    select
        batch_seq,
        record_no,
        item_no,
        {{ hash_of_keyless('source', 'stream', 'said', 'ordinal') }} as message_id
    from (
        select
            *,
            row_number() over (
                partition by batch_seq, file, said_hash
                order by record_no, item_no
            ) as ordinal
        from (
            select
                source,
                stream,
                batch_seq,
                record_no,
                item_no,
                file,
                record_hash as said,
                {{ dbt.hash('record_hash') }} as said_hash
            from {{ ref('arrivals') }}
            where record_hash is not null and record_key is null and message_id is null
        ) as hashed
    ) as placed
),
{% endif %}

{% if arriving.snapshots %}
-- A keyed snapshot repeats every row each time: a row equal to its key's latest version is a
-- duplicate.
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
    where
        known.record_key is not null
        and known.fate = 'accepted'
        and known.batch_seq <= {{ window.after }}
    {% endif %}
),

compared as (
    select
        *,
        lag(record_hash) over (
            partition by source, stream, record_key
            order by batch_seq asc, record_no asc
        ) as earlier_hash
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
    select
        arriving.batch_id,
        arriving.batch_seq,
        arriving.record_no,
        arriving.item_no,
        arriving.source,
        arriving.stream,
        arriving.received_at,
        arriving.record_key,
        {{ record_hash }} as record_hash,
        arriving.is_refused,
        {{ is_repeat }} as is_repeat,
        {{ 'coalesce(' ~ ids | join(', ') ~ ')' if ids | length > 1 else ids[0] }} as message_id
    from arriving
    {% if arriving.keyless %}
    left join keyless
        on
            keyless.batch_seq = arriving.batch_seq
            and keyless.record_no = arriving.record_no
            and keyless.item_no = arriving.item_no
    {% endif %}
    {% if arriving.snapshots %}
    left join repeats
        on
            repeats.batch_seq = arriving.batch_seq
            and repeats.record_no = arriving.record_no
            and arriving.record_key is not null
    {% endif %}
),

-- Of messages with one id the first one counts. Few ids come twice, and only theirs are put in
-- order.
ids_that_come_again as (
    select message_id
    from identified
    where not is_refused and not is_repeat
    group by message_id
    having count(*) > 1
),

later_ones as (
    select
        batch_seq,
        record_no,
        item_no
    from (
        select
            identified.batch_seq,
            identified.record_no,
            identified.item_no,
            row_number() over (
                partition by identified.message_id
                order by
                    identified.batch_seq asc,
                    identified.received_at asc,
                    identified.record_no asc,
                    identified.item_no asc
            ) as occurrence
        from identified
        inner join ids_that_come_again as again on again.message_id = identified.message_id
        where not identified.is_refused and not identified.is_repeat
    ) as ranked
    where occurrence > 1
),

fated as (
    select
        identified.*,
        case
            when identified.is_refused then 'quarantined'
            when identified.is_repeat or later_ones.record_no is not null then 'duplicate'
            {% if known_messages %}
            when known.message_id is not null then 'duplicate'
            {% endif %}
            else 'accepted'
        end as fate
    from identified
    left join later_ones
        on
            later_ones.batch_seq = identified.batch_seq
            and later_ones.record_no = identified.record_no
            and later_ones.item_no = identified.item_no
    {% if known_messages %}
    left join {{ known_messages }} as known
        on known.message_id = identified.message_id and known.batch_seq <= {{ window.after }}
    {% endif %}
),

-- Arrival order: within a batch as the lines stand in their files, unless received_at says more.
numbered as (
    select
        fated.*,
        case
            when fate = 'accepted'
                then {{ arrivals_before }} + row_number() over (
                    partition by fate = 'accepted'
                    order by batch_seq asc, received_at asc, record_no asc, item_no asc
                )
        end as arrival
    from fated
){% if arriving.aliases %},

-- An alias names an earlier user_id where one is known by then, however it is spelled, otherwise an
-- anonymous_id. What a protected source said makes none known.
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
        and arrivals.identifiers like '%"user_id"%'
        and {{ json_text('arrivals.identifiers', [0, 'type']) }} = 'user_id'
    {% if protected_sources() %}
        and not {{ is_protected('numbered.source') }}
    {% endif %}
    {% if known_messages %}
    union all
    select
        {{ json_text('known.identifiers', [0, 'value']) }} as user_id,
        0 as arrival
    from {{ known_messages }} as known
    where
        known.batch_seq <= {{ window.after }}
        and known.identifiers like '%"user_id"%'
        and {{ json_text('known.identifiers', [0, 'type']) }} = 'user_id'
        {% if protected_sources() %}
        and not {{ is_protected('known.source') }}
        {% endif %}
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
    inner join spelled_user_ids as user_ids
        on user_ids.user_id = aliases.previous_id and user_ids.arrival < aliases.arrival
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
    numbered.message_id,
    numbered.arrival,
    {{ 'user_aliases.arrival is not null' if arriving.aliases else '1 = 0' }} as names_user_id
from numbered
{% if arriving.aliases %}
left join user_aliases on user_aliases.arrival = numbered.arrival
{% endif %}
