-- When a person ordered for the first time. One row per person who ever ordered.
{{ first_time_of('Order Completed') }}
