-- Money that went back to people, in the latest version of each refund. One row per refund_id.
with told as (
    select
        profile_id,
        message_id,
        occurred_at,
        arrival,
        coalesce({{ json_text('properties', ['refund_id']) }}, message_id) as refund_id,
        {{ json_text('properties', ['order_id']) }} as order_id,
        coalesce(
            {{ json_text('properties', ['total']) }},
            {{ json_text('properties', ['revenue']) }},
            {{ json_text('properties', ['value']) }}
        ) as amount
    from {{ ref('events') }}
    where type = 'track' and event_name = 'Order Refunded' and profile_id is not null
),

ranked as (
    select
        *,
        row_number() over (partition by refund_id order by arrival desc) as version
    from told
)

select
    refund_id,
    order_id,
    profile_id,
    occurred_at as refunded_at,
    cast({{ to_money('amount') }} as {{ type_double() }}) as amount_usd,
    message_id
from ranked
where version = 1
