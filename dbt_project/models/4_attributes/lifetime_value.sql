-- What a person's orders brought, net of refunds, and when the last order was.
-- One row per person who ever ordered.
with ordered as (
    select
        profile_id,
        -- An order without a usable amount brought nothing.
        coalesce(sum({{ to_money('amount_usd') }}), 0) as amount_usd,
        max(ordered_at) as last_order_at
    from {{ ref('orders') }}
    where status <> 'cancelled' and {{ happened('ordered_at') }}
    group by profile_id
),

refunded as (
    select
        profile_id,
        sum({{ to_money('amount_usd') }}) as amount_usd
    from {{ ref('refunds') }}
    where {{ happened('refunded_at') }}
    group by profile_id
)

select
    ordered.profile_id,
    cast(
        ordered.amount_usd - coalesce(refunded.amount_usd, 0) as {{ type_double() }}
    ) as lifetime_value_usd,
    ordered.last_order_at
from ordered
left join refunded on refunded.profile_id = ordered.profile_id
