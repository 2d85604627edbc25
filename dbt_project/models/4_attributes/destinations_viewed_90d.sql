-- The destinations of the trips that a person looked at in the last 90 days.
-- One row per person who ever looked at one.
{{ unique_list_of('Product Viewed', 'destination', last_days=90) }}
