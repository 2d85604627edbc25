-- How much a person reads of our mail lately, from 0 to 100: what was opened or clicked 30 days ago
-- counts half. One row per person who ever opened or clicked one.
{{ frequency_decay_of(['Email Opened', 'Email Link Clicked'], half_life_days=30) }}
