-- An order of the shop is a `track` named Order Completed. One row per landed version of an order.
with records as (
    {{ landed(source('shop', 'orders'), [
        'order_id', 'customer_id', 'email', 'phone', 'anonymous_id', 'destination', 'amount',
        'currency', 'status', 'ordered_at', 'updated_at',
    ]) }}
),

timed as (
    {{ with_times('records', {'occurred_time': 'ordered_at', 'updated_time': 'updated_at'}) }}
),

judged as (
    {{ with_judged_money('timed', {'amount_money': 'amount'}, 'currency') }}
)

select
    {{ record_columns() }},
    {{ keyed_message_id('shop', 'orders', key=['order_id'], cursor='updated_at') }} as message_id,
    'track' as type,
    'Order Completed' as event_name,
    ordered_at as occurred_text,
    occurred_time as occurred_at,
    occurred_time is null and ordered_at is not null as occurred_is_impossible,
    landed_at as received_at,
    {{ identifiers({
        'user_id': 'customer_id', 'email': 'email', 'phone': 'phone',
        'anonymous_id': 'anonymous_id',
    }) }} as identifiers,
    {{ object(
        {
            'order_id': 'order_id', 'destination': 'destination', 'currency': 'currency',
            'status': 'status',
            'updated_at': "case when updated_time is not null then updated_at end",
        },
        numbers={'total': 'amount'},
    ) }} as properties,
    case
        when order_id is null then 'order_id'
        when ordered_at is null then 'ordered_at'
        when amount is null then 'amount'
    end as missing_field,
    {{ unusable_fields(
        money_faults(
            {'amount': 'amount'}, 'currency', 'currency', judged={'amount': 'amount_money'}
        )
        + change_faults('updated_at', 'updated_at', 'landed_at', change='updated_time')
    ) }} as unusable_field,
    {{ unset(['record_key', 'record_hash', 'traits', 'context', 'consent', 'previous_id']) }}
from judged
