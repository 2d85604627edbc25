-- Promise 2: every landed record of a stream in the list of streams (arrivals.sql) has one fate.
-- What the connector says it landed, batch by batch, is what was taken in, and accepted, duplicate
-- and quarantined records add up to it. Batches that nothing reads are counted apart (cdp status).
-- A row here is a batch whose counts differ.
{% set first_seq = first_batch_to_check() %}

with fates as (
    select
        batch_id,
        count(*) as taken_in,
        sum(case when fate = 'quarantined' then 1 else 0 end) as quarantined
    from {{ ref('intake') }}
    where batch_seq >= {{ first_seq }}
    group by batch_id
),

reasons as (
    select
        batch_id,
        count(distinct record_no) as explained
    from {{ ref('refused') }}
    where scope = 'record' and batch_seq >= {{ first_seq }}
    group by batch_id
)

select
    batches.batch_id,
    batches.records,
    fates.taken_in,
    fates.quarantined,
    reasons.explained
from {{ source('cdp', 'batches') }} as batches
left join fates on fates.batch_id = batches.batch_id
left join reasons on reasons.batch_id = batches.batch_id
where
    batches.batch_seq >= {{ first_seq }}
    and batches.batch_seq <= (
        select current_build.through_batch_seq
        from {{ ref('current_build') }} as current_build
    )
    and {{ is_read('batches.source', 'batches.stream') }}
    and (
        batches.records <> coalesce(fates.taken_in, 0)
        or coalesce(fates.quarantined, 0) <> coalesce(reasons.explained, 0)
    )
