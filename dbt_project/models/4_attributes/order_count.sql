-- How many orders a person placed (cancelled ones do not count).
-- One row per person who ever ordered.
select
    profile_id,
    cast(count(*) as {{ dbt.type_bigint() }}) as order_count
from {{ ref('orders') }}
where status <> 'cancelled' and {{ happened('ordered_at') }}
group by profile_id
