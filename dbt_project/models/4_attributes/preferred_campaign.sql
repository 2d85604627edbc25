-- The newsletter that a person opened or clicked most often, and more than once.
-- One row per person who ever opened or clicked one.
{{ most_frequent_of(['Email Opened', 'Email Link Clicked'], 'campaign', at_least=2) }}
