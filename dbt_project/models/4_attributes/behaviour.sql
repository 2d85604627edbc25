-- How much, how often, how lately and how steadily a person uses our site and app, each from 0 to
-- 100 among all who do. One row per person who ever did anything there.
{{ behaviour_scores(sources=var('visit_sources')) }}
