-- Who is in which audience now, and since when. One row per audience and member. Each audience
-- keeps its rows here itself, in the transaction that writes its changes; made from the changes
-- where this relation is missing.
{{ config(
    materialized='incremental' if members_are_kept() else 'view',
    incremental_strategy='append',
    full_refresh=false,
    post_hook="{{ let_go_of_former_audiences() }}"
) }}

with open_stays as (
    select
        audience,
        profile_id,
        variant
    from {{ ref('changes') }}
    {% if is_incremental() %}
    where 1 = 0
    {% endif %}
    group by audience, profile_id, variant
    having sum(case when change = 'entered' then 1 else -1 end) > 0
),

entries as (
    select
        changes.audience,
        changes.profile_id,
        changes.variant,
        changes.{{ column_name('at') }} as entered_at,
        changes.build_id,
        row_number() over (
            partition by changes.audience, changes.profile_id, changes.variant
            order by changes.{{ column_name('at') }} desc, changes.build_id desc
        ) as entry_no
    from {{ ref('changes') }} as changes
    inner join open_stays
        on
            open_stays.audience = changes.audience
            and open_stays.profile_id = changes.profile_id
            and {{ same_variant('open_stays', 'changes') }}
    where changes.change = 'entered'
)

select
    audience,
    profile_id,
    variant,
    entered_at,
    build_id
from entries
where entry_no = 1
