{# What an audience is, and how its history, which each audience writes itself, is held against its members. #}

{# A model of 5_audiences, unless it stands in the folder about/: those tell of all audiences. #}
{% macro is_audience(node) -%}
    {%- set folders = node.fqn[:-1] -%}
    {{ return(node.resource_type == 'model' and '5_audiences' in folders and 'about' not in folders) }}
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

{# Hook of current_members: an audience whose model is gone has no members. Its exits are in the log already. #}
{% macro let_go_of_former_audiences() -%}
{%- if cdp.members_are_kept() -%}
delete from {{ this }} where audience not in ({{ cdp.string_literals(cdp.audience_names()) }})
{%- endif -%}
{%- endmacro %}

{# Whether two rows are of one variant; null is none. #}
{% macro same_variant(one, other) -%}
    coalesce({{ one }}.variant, '') = coalesce({{ other }}.variant, '')
{%- endmacro %}

{# Members who did not enter last, in the variant that they are in, and people who did and are none: of those who moved in
   `builds`, a condition that is true of the changes of the last ones, or of everybody (none). #}
{% macro members_astray(changes, members, builds=none) -%}
select
    coalesce(moved.audience, held.audience) as audience,
    coalesce(moved.profile_id, held.profile_id) as profile_id
from (
    select
        audience,
        profile_id,
        variant,
        sum(case when change = 'entered' then 1 else -1 end) as net
    from {{ changes }}
    {% if builds %}where {{ builds }}{% endif %}
    group by audience, profile_id, variant
) as moved
{{ 'left' if builds else 'full outer' }} join {{ members }} as held
    on
        held.audience = moved.audience
        and held.profile_id = moved.profile_id
        and {{ cdp.same_variant('held', 'moved') }}
where
    (moved.net > 0 and held.profile_id is null)
    or (moved.net < 0 and held.profile_id is not null)
    {% if not builds %}or (coalesce(moved.net, 0) = 0 and held.profile_id is not null){% endif %}

{%- endmacro %}
