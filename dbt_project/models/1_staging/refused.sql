-- What staging refused and why: whole records, and single fields of messages that stay. One row per
-- refusal. staging.quarantine shows it beside what later models refuse.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='batch_id'
) }}

with records_kept as (
    select distinct
        batch_id,
        record_no
    from {{ ref('fates') }}
    where fate = 'accepted'
),

messages_with_faults as (
    select
        arrivals.batch_id,
        arrivals.record_no,
        fates.message_id,
        arrivals.source,
        arrivals.stream,
        arrivals.file,
        arrivals.payload,
        arrivals.batch_seq,
        arrivals.unusable_field
    from {{ ref('arrivals') }} as arrivals
    inner join {{ ref('fates') }} as fates
        on
            fates.batch_seq = arrivals.batch_seq
            and fates.record_no = arrivals.record_no
            and fates.item_no = arrivals.item_no
    where fates.fate = 'accepted' and arrivals.unusable_field is not null
),

-- Each {field, reason, detail} of theirs.
faults as (
    {{ explode_array(
        'messages_with_faults',
        ['batch_id', 'record_no', 'message_id', 'source', 'stream', 'file', 'payload', 'batch_seq'],
        'unusable_field'
    ) }}
),

-- A file lands whole, in one batch.
files as (
    select
        batch_id,
        file,
        min(record_no) as first_record_no
    from {{ ref('arrivals') }}
    where file is not null
    group by batch_id, file
),

refusals as (
    select
        arrivals.batch_id,
        arrivals.record_no,
        fates.message_id,
        arrivals.source,
        arrivals.stream,
        -- A refused message inside an envelope whose other messages stay is a refused part of its
        -- record.
        case when records_kept.batch_id is null then 'record' else 'field' end as scope,
        arrivals.reason,
        case
            when records_kept.batch_id is null then arrivals.field
            else
                'batch[' || cast(arrivals.item_no as {{ dbt.type_string() }}) || ']'
                || coalesce('.' || arrivals.field, '')
        end as field,
        arrivals.payload,
        arrivals.detail,
        arrivals.batch_seq,
        arrivals.file
    from {{ ref('arrivals') }} as arrivals
    inner join {{ ref('fates') }} as fates
        on
            fates.batch_seq = arrivals.batch_seq
            and fates.record_no = arrivals.record_no
            and fates.item_no = arrivals.item_no
    left join records_kept
        on records_kept.batch_id = arrivals.batch_id and records_kept.record_no = arrivals.record_no
    where arrivals.reason is not null
    union all
    select
        batch_id,
        record_no,
        message_id,
        source,
        stream,
        'field' as scope,
        coalesce({{ json_text('item', ['reason']) }}, 'unusable') as reason,
        {{ json_text('item', ['field']) }} as field,
        payload,
        {{ json_text('item', ['detail']) }} as detail,
        batch_seq,
        file
    from faults
)

select
    refusals.batch_id,
    refusals.record_no,
    refusals.message_id,
    refusals.source,
    refusals.stream,
    refusals.scope,
    refusals.reason,
    refusals.field,
    refusals.payload,
    refusals.detail,
    refusals.batch_seq,
    refusals.file,
    refusals.record_no - files.first_record_no + 1 as file_record_no
from refusals
left join files on files.batch_id = refusals.batch_id and files.file = refusals.file
