-- Money that went back to people, in the latest version of each refund. One row per refund_id.
with told as (
    select
        profile_id,
        message_id,
        occurred_at,
        received_at,
        arrival,
        refund_id,
        order_id,
        -- An amount is judged by its text and its currency, which a typed column of money has not.
        {{ json_text('properties', ['total']) }} as total,
        {{ json_text('properties', ['revenue']) }} as revenue,
        {{ json_text('properties', ['value']) }} as refund_value,
        {{ json_text('properties', ['currency']) }} as stated_currency,
        {{ json_text('properties', ['updated_at']) }} as updated_text
    from {{ ref('events') }}
    where type = 'track' and event_name = 'Order Refunded'
),

judged as (
    {{ with_judged_money(
        'told',
        {'total_money': 'total', 'revenue_money': 'revenue', 'value_money': 'refund_value'},
        'stated_currency',
    ) }}
),

versions as (
    select
        profile_id,
        message_id,
        occurred_at,
        arrival,
        coalesce(refund_id, message_id) as refund_id,
        order_id,
        {{ first_money(['total_money', 'revenue_money', 'value_money']) }} as money,
        {{ changed_at('updated_text', 'occurred_at', 'received_at') }} as changed_at
    from judged
),

latest as (
    {{ latest_version(
        'versions', key='refund_id', of_version=['message_id', 'occurred_at'],
        fields=['profile_id', 'order_id', 'money'],
    ) }}
),

rated as (
    {{ with_rates('latest', {'rate': [currency_of_money('money'), 'occurred_at']}) }}
)

select
    refund_id,
    order_id,
    profile_id,
    occurred_at as refunded_at,
    {{ usd_of_money('money', 'rate') }} as amount_usd,
    {{ amount_of_money('money') }} as amount,
    {{ currency_of_money('money') }} as currency,
    case
        when money is null then 'no_amount'
        when {{ usd_of_money('money', 'rate') }} is null then 'no_rate'
    end as amount_missing_reason,
    message_id
from rated
where profile_id is not null
