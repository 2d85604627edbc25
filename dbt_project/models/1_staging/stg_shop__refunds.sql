-- A refund of the shop is a `track` named Order Refunded. One row per landed version of a refund.
with records as (
    {{ landed(source('shop', 'refunds'), [
        'refund_id', 'order_id', 'customer_id', 'email', 'amount', 'refunded_at', 'updated_at',
    ]) }}
),

timed as (
    {{ with_times('records', {'occurred_time': 'refunded_at', 'updated_time': 'updated_at'}) }}
),

judged as (
    {{ with_judged_money('timed', {'amount_money': 'amount'}, none) }}
)

select
    {{ record_columns() }},
    {{ keyed_message_id('shop', 'refunds', key=['refund_id'], cursor='updated_at') }} as message_id,
    'track' as type,
    'Order Refunded' as event_name,
    refunded_at as occurred_text,
    occurred_time as occurred_at,
    occurred_time is null and refunded_at is not null as occurred_is_impossible,
    landed_at as received_at,
    {{ identifiers({'user_id': 'customer_id', 'email': 'email'}) }} as identifiers,
    {{ object(
        {
            'order_id': 'order_id', 'refund_id': 'refund_id',
            'updated_at': "case when updated_time is not null then updated_at end",
        },
        numbers={'total': 'amount'},
    ) }} as properties,
    case
        when refund_id is null then 'refund_id'
        when refunded_at is null then 'refunded_at'
        when amount is null then 'amount'
    end as missing_field,
    {{ unusable_fields(
        money_faults({'amount': 'amount'}, none, none, judged={'amount': 'amount_money'})
        + change_faults('updated_at', 'updated_at', 'landed_at', change='updated_time')
    ) }} as unusable_field,
    {{ unset(['record_key', 'record_hash', 'traits', 'context', 'consent', 'previous_id']) }}
from judged
