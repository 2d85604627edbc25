-- How often a person searched for a trip in the last 30 days.
-- One row per person who ever searched for one.
{{ count_of('Trip Searched', last_days=30) }}
