{# Audience history: an append-only log that each audience writes after it was built. #}

{% macro is_audience(node) -%}
    {{ return(
        node.resource_type == 'model' and '5_audiences' in node.fqn and node.name not in ('changes', 'memberships')
    ) }}
{%- endmacro %}

{% macro audience_names() -%}
    {%- set names = [''] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if cdp.is_audience(node) -%}{%- do names.append(node.name) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{# Who is in which audience according to the log: more entries than exits. #}
{% macro open_stays(changes, audience=none) -%}
    select audience, profile_id
    from {{ changes }}
    {% if audience %}where audience = '{{ audience }}'{% endif %}
    group by audience, profile_id
    having sum(case when change = 'entered' then 1 else -1 end) > 0
{%- endmacro %}

{# Post-hook of the folder: what changed against the log, stamped with the build's as_of. Running it again adds nothing. #}
{% macro record_audience_changes() -%}
{%- if model.name not in ('changes', 'memberships') -%}
{%- set changes = ref('changes') -%}
insert into {{ changes }} (audience, profile_id, change, {{ cdp.column_name('at') }}, build_id)
select
    '{{ model.name }}' as audience,
    coalesce(members.profile_id, stays.profile_id) as profile_id,
    case when stays.profile_id is null then 'entered' else 'exited' end as change,
    {{ cdp.as_of() }} as {{ cdp.column_name('at') }},
    (select current_build.build_id from {{ ref('current_build') }} as current_build) as build_id
from (select distinct profile_id from {{ this }}) as members
full outer join ({{ cdp.open_stays(changes, model.name) }}) as stays
    on stays.profile_id = members.profile_id
where members.profile_id is null or stays.profile_id is null
{%- endif -%}
{%- endmacro %}
