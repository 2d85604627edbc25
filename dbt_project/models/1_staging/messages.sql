-- Every accepted message, in one shape whatever its source. One row per message_id.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='batch_id'
) }}

select
    fates.message_id,
    arrivals.source,
    arrivals.stream,
    arrivals.batch_id,
    arrivals.batch_seq,
    arrivals.record_no,
    cast(fates.arrival as {{ dbt.type_bigint() }}) as arrival,
    arrivals.type,
    arrivals.event_name,
    arrivals.occurred_at,
    arrivals.received_at,
    arrivals.landed_at,
    case
        when arrivals.previous_id is null then arrivals.identifiers
        else
            substring(arrivals.identifiers, 1, length(arrivals.identifiers) - 1)
            || case when arrivals.identifiers = '[]' then '' else ',' end
            || '{"type":"'
            || case when fates.names_user_id then 'user_id' else 'anonymous_id' end
            || '","value":' || {{ json_quote('arrivals.previous_id') }} || '}]'
    end as identifiers,
    arrivals.traits,
    arrivals.properties,
    arrivals.context,
    arrivals.consent,
    arrivals.context_traits
from {{ ref('arrivals') }} as arrivals
inner join {{ ref('fates') }} as fates
    on
        fates.batch_seq = arrivals.batch_seq
        and fates.record_no = arrivals.record_no
        and fates.item_no = arrivals.item_no
where fates.fate = 'accepted'
