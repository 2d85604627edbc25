-- Values of another type than the catalogue says. The message stays, without them. One row per
-- message and field, told by the model that parses the value. A property that is declared later is
-- looked for in all that came before, so what the record said is read from landing.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='arrival') }}

{% set window = fault_window([
    'select arrival from ' ~ ref('events') ~ ' where wrong_types is not null',
    'select arrival from ' ~ ref('trait_writes') ~ ' where is_wrong_type',
]) %}

with faulted as (
    select
        arrival,
        wrong_types as faults
    from {{ ref('events') }}
    where wrong_types is not null and arrival > {{ window.arrival }}
),

items as (
    {{ explode_array('faulted', ['arrival'], 'faults') }}
),

told as (
    select
        arrival,
        {{ json_text('item', ['field']) }} as field,
        {{ json_text('item', ['reason']) }} as reason,
        {{ json_text('item', ['detail']) }} as detail
    from items
    union all
    select
        arrival,
        field,
        reason,
        detail
    from ({{ trait_faults() }}) as of_traits
    where arrival > {{ window.arrival }}
),

-- Two properties may read one value.
faults as (
    select
        arrival,
        field,
        reason,
        min(detail) as detail
    from told
    group by arrival, field, reason
),

records as (
    {{ landed_records(with_news(landed_streams(), window), window) }}
),

-- A file lands whole, in one batch.
files as (
    select
        batch_id,
        file,
        min(record_no) as first_record_no
    from records
    where file is not null
    group by batch_id, file
)

select
    faults.arrival,
    messages.message_id,
    messages.batch_id,
    messages.batch_seq,
    messages.record_no,
    messages.source,
    messages.stream,
    faults.field,
    faults.reason,
    faults.detail,
    records.payload,
    records.file,
    records.record_no - files.first_record_no + 1 as file_record_no
from faults
inner join {{ ref('messages') }} as messages on messages.arrival = faults.arrival
left join records
    on records.batch_id = messages.batch_id and records.record_no = messages.record_no
left join files on files.batch_id = records.batch_id and files.file = records.file
