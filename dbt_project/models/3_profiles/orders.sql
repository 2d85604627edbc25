-- Orders that people placed, in their latest version (a source may tell of one order several times, as its status
-- changes). One row per order_id.
with told as (
    select
        profile_id,
        message_id,
        occurred_at,
        arrival,
        {{ json_text('properties', ['order_id']) }} as order_id,
        {{ json_text('properties', ['destination']) }} as destination,
        {{ json_text('properties', ['status']) }} as status,
        coalesce(
            {{ json_text('properties', ['total']) }},
            {{ json_text('properties', ['revenue']) }},
            {{ json_text('properties', ['value']) }}
        ) as amount
    from {{ ref('events') }}
    where type = 'track' and event_name = 'Order Completed' and profile_id is not null
),

ranked as (
    select
        *,
        row_number() over (partition by coalesce(order_id, message_id) order by arrival desc) as version
    from told
)

select
    coalesce(order_id, message_id) as order_id,
    profile_id,
    occurred_at as ordered_at,
    destination,
    cast({{ to_money('amount') }} as {{ type_double() }}) as amount_usd,
    coalesce(status, 'completed') as status,
    message_id
from ranked
where version = 1
