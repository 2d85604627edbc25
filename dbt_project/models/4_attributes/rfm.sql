-- How recently, how often and for how much a person ordered, each from 1 to 5 among all who did,
-- and what such people are called. One row per person who ever ordered.
with measured as (
    select
        ordered.profile_id,
        ordered.last_order_at,
        counted.order_count,
        ordered.lifetime_value_usd
    from {{ ref('lifetime_value') }} as ordered
    inner join {{ ref('order_count') }} as counted on counted.profile_id = ordered.profile_id
)

{{ rfm_scores(
    'measured', last_at='last_order_at', times='order_count', spent='lifetime_value_usd',
) }}
