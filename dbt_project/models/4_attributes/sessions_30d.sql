-- Visits in the last 30 days: page, screen and track messages of one person that follow each other
-- within 30 minutes are one session. One row per person with a session.
{{ sessions_of(sources=var('visit_sources'), last_days=30, keep_emptied=false) }}
