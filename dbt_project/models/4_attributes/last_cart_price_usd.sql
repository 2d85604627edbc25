-- The price of the trip that a person last put into their cart in the last 30 days.
-- One row per person who ever put one there.
{{ last_value_of('Product Added', 'price', last_days=30) }}
