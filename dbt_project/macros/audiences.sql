{# Audience history: an append-only log that each audience writes after it was built, and beside it who is a member now. #}

{# The relations of 5_audiences that are about all audiences. #}
{% macro about_audiences() -%}
    {{ return(['changes', 'current_members', 'memberships']) }}
{%- endmacro %}

{% macro is_audience(node) -%}
    {{ return(
        node.resource_type == 'model' and '5_audiences' in node.fqn and node.name not in cdp.about_audiences()
    ) }}
{%- endmacro %}

{% macro audience_names() -%}
    {%- set names = [''] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if cdp.is_audience(node) -%}{%- do names.append(node.name) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(names | sort) }}
{%- endmacro %}

{# Where one transaction writes several relations, audiences keep current_members; elsewhere it is a view over the log. #}
{% macro members_are_kept() -%}
    {{ return(target.type in ('duckdb', 'postgres')) }}
{%- endmacro %}

{# First of the hooks of the folder: what changed, stamped with the build's as_of. Running it again adds nothing. #}
{% macro record_audience_changes() -%}
{%- if cdp.is_audience(model) -%}
insert into {{ ref('changes') }} (audience, profile_id, change, {{ cdp.column_name('at') }}, build_id)
select
    '{{ model.name }}' as audience,
    coalesce(members.profile_id, known.profile_id) as profile_id,
    case when known.profile_id is null then 'entered' else 'exited' end as change,
    {{ cdp.as_of() }} as {{ cdp.column_name('at') }},
    (select current_build.build_id from {{ ref('current_build') }} as current_build) as build_id
from (select distinct profile_id from {{ this }}) as members
full outer join (select profile_id from {{ ref('current_members') }} where audience = '{{ model.name }}') as known
    on known.profile_id = members.profile_id
where members.profile_id is null or known.profile_id is null
{%- endif -%}
{%- endmacro %}

{# Second hook: who left is no member any more. #}
{% macro let_members_go() -%}
{%- if cdp.is_audience(model) and cdp.members_are_kept() -%}
delete from {{ ref('current_members') }}
where
    audience = '{{ model.name }}'
    and not exists (select 1 from {{ this }} as members where members.profile_id = {{ ref('current_members') }}.profile_id)
{%- endif -%}
{%- endmacro %}

{# Third hook: who entered is one. #}
{% macro take_members_in() -%}
{%- if cdp.is_audience(model) and cdp.members_are_kept() -%}
insert into {{ ref('current_members') }} (audience, profile_id, entered_at, build_id)
select
    '{{ model.name }}' as audience,
    members.profile_id,
    {{ cdp.as_of() }} as entered_at,
    (select current_build.build_id from {{ ref('current_build') }} as current_build) as build_id
from (select distinct profile_id from {{ this }} where profile_id is not null) as members
left join (select profile_id from {{ ref('current_members') }} where audience = '{{ model.name }}') as known
    on known.profile_id = members.profile_id
where known.profile_id is null
{%- endif -%}
{%- endmacro %}

{# Hook of current_members: an audience whose model is gone has no members. Its exits are in the log already. #}
{% macro let_go_of_former_audiences() -%}
{%- if cdp.members_are_kept() -%}
delete from {{ this }} where audience not in ({{ cdp.string_literals(cdp.audience_names()) }})
{%- endif -%}
{%- endmacro %}

{# Members who did not enter last, and people who did and are none: of those whom the build moved, or of everybody (no build). #}
{% macro members_astray(changes, members, build_id=none) -%}
select
    coalesce(moved.audience, held.audience) as audience,
    coalesce(moved.profile_id, held.profile_id) as profile_id
from (
    select
        audience,
        profile_id,
        sum(case when change = 'entered' then 1 else -1 end) as net
    from {{ changes }}
    {% if build_id %}where build_id = '{{ build_id }}'{% endif %}
    group by audience, profile_id
) as moved
{{ 'left' if build_id else 'full outer' }} join {{ members }} as held
    on held.audience = moved.audience and held.profile_id = moved.profile_id
where
    (moved.net > 0 and held.profile_id is null)
    or (moved.net < 0 and held.profile_id is not null)
    {% if not build_id %}or (coalesce(moved.net, 0) = 0 and held.profile_id is not null){% endif %}

{%- endmacro %}
