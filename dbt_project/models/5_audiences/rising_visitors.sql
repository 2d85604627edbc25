-- People who use the site and app much more than a month ago, and are no VIPs yet.
-- One row per member.
select people.profile_id
from {{ ref('profiles') }} as people
where
    {{ attribute('behaviour', 'momentum_score', '>=', 75) }}
    and {{ attribute('behaviour', 'quantity_score', '>=', 50) }}
    and {{ excluding('vips') }}
