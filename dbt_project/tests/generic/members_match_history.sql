{# An audience's members are exactly its open stays: whoever is in was seen to enter, whoever left
   was seen to leave. #}
{% test members_match_history(model) %}
select coalesce(members.profile_id, stays.profile_id) as profile_id
from {{ model }} as members
full outer join (
    select profile_id
    from {{ ref('memberships') }}
    where audience = '{{ model.identifier }}' and exited_at is null
) as stays on stays.profile_id = members.profile_id
where members.profile_id is null or stays.profile_id is null
{% endtest %}
