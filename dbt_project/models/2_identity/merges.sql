-- Each change of ownership. A merge: the absorbed profile, the surviving one (the older), and the
-- link that joined them. A split: what left a profile when an operator or another rule set said so;
-- it may happen again when they say so again. One row per change.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert',
    unique_key=['kind', 'from_profile_id', 'into_profile_id', 'merged_at'],
    pre_hook='{{ start_over() }}'
) }}

select
    'merge' as kind,
    absorbed.profile_id as from_profile_id,
    surviving.profile_id as into_profile_id,
    linking.received_at as merged_at,
    linking.message_id,
    links.identifier_type,
    links.identifier_value
from {{ ref('absorptions') }} as absorptions
inner join {{ ref('touched_profiles') }} as absorbed on absorbed.founded_at = absorptions.founded_at
inner join {{ ref('touched_profiles') }} as surviving
    on surviving.founded_at = absorptions.absorbed_by
inner join {{ ref('messages') }} as linking
    on linking.arrival = absorptions.arrival and linking.arrival > {{ after_arrival() }}
inner join (
    select
        older_strength as strength,
        older_identifier as identifier
    from {{ ref('profile_links') }}
    union distinct
    select
        younger_strength as strength,
        younger_identifier as identifier
    from {{ ref('profile_links') }}
) as named on named.strength = absorptions.strength
inner join {{ ref('met_identifiers') }} as links on links.identifier = named.identifier
union all
select
    'split' as kind,
    from_profile_id,
    into_profile_id,
    split_at as merged_at,
    cast(null as {{ dbt.type_string() }}) as message_id,
    identifier_type,
    identifier_value
from (
    select
        *,
        row_number() over (
            partition by from_profile_id, into_profile_id, split_at
            order by resolution_no desc
        ) as place
    from {{ ref('splits') }}
) as numbered
where place = 1
