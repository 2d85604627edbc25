-- What an order of a person brought on average, net of refunds.
-- One row per person who ever ordered.
{{ formula('lifetime_value_usd / order_count', of=['lifetime_value', 'order_count']) }}
