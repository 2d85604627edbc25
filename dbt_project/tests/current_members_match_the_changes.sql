-- Who entered last is a member, who left last is none: of those whom this build moved, and of everybody at a full refresh.
with moved as (
    select
        audience,
        profile_id,
        sum(case when change = 'entered' then 1 else -1 end) as net
    from {{ ref('changes') }}
    {% if not flags.FULL_REFRESH %}
    where build_id = '{{ this_build_id() }}'
    {% endif %}
    group by audience, profile_id
)

select
    moved.audience,
    moved.profile_id
from moved
left join {{ ref('current_members') }} as members
    on members.audience = moved.audience and members.profile_id = moved.profile_id
where (moved.net > 0 and members.profile_id is null) or (moved.net < 0 and members.profile_id is not null)
