-- How many whole days of 24 h ago a person last ordered. One row per person who ever ordered.
select
    profile_id,
    cast(
        floor({{ seconds_between('last_order_at', as_of()) }} / 86400) as {{ dbt.type_bigint() }}
    ) as days_since_last_order
from {{ ref('lifetime_value') }}
