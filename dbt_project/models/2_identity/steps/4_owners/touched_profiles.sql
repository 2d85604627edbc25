-- The profiles that this build's messages touch, with their ids: md5 of the founding message's id.
-- One row per profile (founded_at: its founding arrival).
{{ config(materialized='intermediate') }}
select
    messages.arrival as founded_at,
    {{ dbt.hash('messages.message_id') }} as profile_id
from {{ ref('messages') }} as messages
inner join (
    select distinct placements.stands_at
    from {{ ref('placements') }} as placements
    left join {{ ref('joined_sets') }} as joined_sets on joined_sets.arrival = placements.stands_at
    where placements.founded_at is null and joined_sets.arrival is null
) as founded on founded.stands_at = messages.arrival
where messages.arrival > {{ after_arrival() }}
union all
select distinct
    founded_at,
    profile_id
from {{ ref('placements') }}
where founded_at is not null
