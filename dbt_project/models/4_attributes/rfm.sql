-- How recently, how often and for how much a person ordered, each from 1 to 5 among all who did,
-- and what such people are called. One row per person who ever ordered.
with measured as (
    select
        value.profile_id,
        value.last_order_at,
        counted.order_count,
        value.lifetime_value_usd,
        count(*) over () as people
    from {{ ref('lifetime_value') }} as value
    inner join {{ ref('order_count') }} as counted on counted.profile_id = value.profile_id
),

scored as (
    select
        profile_id,
        {{ quintile('last_order_at', of='people') }} as recency,
        {{ quintile('order_count', of='people') }} as frequency,
        {{ quintile('lifetime_value_usd', of='people') }} as monetary
    from measured
)

select
    profile_id,
    recency,
    frequency,
    monetary,
    case
        when recency <= 2 and frequency <= 2 then 'hibernating'
        when recency <= 2 and frequency <= 4 then 'at_risk'
        when recency <= 2 then 'cannot_lose'
        when recency = 3 and frequency <= 2 then 'about_to_sleep'
        when recency = 3 and frequency = 3 then 'need_attention'
        when recency <= 4 and frequency >= 4 then 'loyal'
        when recency = 4 and frequency = 1 then 'promising'
        when recency = 5 and frequency = 1 then 'new'
        when frequency <= 3 then 'potential_loyalist'
        else 'champion'
    end as rfm_segment
from scored
