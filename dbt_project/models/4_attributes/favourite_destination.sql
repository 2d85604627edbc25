-- The destination a person looked at or booked most often; of equals the alphabetically first.
-- One row per person with any destination.
{{ most_frequent_of(types=['track'], property='destination', where=[('destination', 'exists')]) }}
