-- The list of VIPs for the sales desk. One row per VIP whose customer number is known.
with customer_numbers as (
    select
        profile_id,
        min(identifier_value) as customer_id
    from {{ ref('identifiers') }}
    where identifier_type = 'user_id'
    group by profile_id
)

select
    members.profile_id as row_key,
    members.profile_id,
    customer_numbers.customer_id,
    value.lifetime_value_usd,
    value.last_order_at,
    orders.order_count,
    cast(null as {{ dbt.type_string() }}) as consent_message_id
from {{ ref('vips') }} as members
inner join customer_numbers on customer_numbers.profile_id = members.profile_id
inner join {{ ref('lifetime_value') }} as value on value.profile_id = members.profile_id
inner join {{ ref('order_count') }} as orders on orders.profile_id = members.profile_id
