{# What is told of all audiences: whom they reach, and which of them jumped. #}

{# Per profile of identity.identifiers 0 or 1: whether they can be reached by e-mail, phone or device. As identity/masking.py
   reads the rules. #}
{% macro reach_columns() -%}
    {%- set types = {'email': [''], 'phone': [''], 'device': ['']} -%}
    {%- for name, rule in var('identity')['identifiers'].items() -%}
        {%- set normalise = rule.get('normalise') -%}
        {%- if normalise in ('email', 'phone') -%}
            {%- do types[normalise].append(name) -%}
        {%- elif modules.re.search('(^|_)(android|ios|idfa|idfv|gaid|aaid|device)(_|$)', name | lower) -%}
            {%- do types['device'].append(name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for reach, names in types.items() -%}
        max(case when identifier_type in ({{ cdp.string_literals(names) }}) then 1 else 0 end) as has_{{ reach }}
        {{- ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# Audiences that this build made larger or smaller than they were 24 h before its as_of by more than vars: audiences:
   jump_percent, or jump_percent of their own (`meta: {audience: {jump_percent: 20}}` in the twin; null: never). Of an audience
   that is younger, its first size counts. #}
{% macro audience_jumps(sizes) -%}
{%- set at = cdp.column_name('at') -%}
{%- set declared = var('audiences', {}) or {} -%}
{%- set usual = declared.get('jump_percent', 50) -%}
{%- set own = {} -%}
{%- if execute -%}
    {%- for node in graph.nodes.values() if cdp.is_audience(node) and 'jump_percent' in node.config.meta.get('audience', {}) -%}
        {%- do own.update({node.name: node.config.meta['audience']['jump_percent']}) -%}
    {%- endfor -%}
{%- endif -%}
with limits as (
    select
        this_build.build_id,
        {{ cdp.plus('this_build.as_of', hours=-24) }} as a_day_before
    from {{ cdp.as_built('current_build') }} as this_build
),

sizes_now as (
    select
        sizes.audience,
        sizes.members,
        cast(case sizes.audience
            {%- for name, percent in own.items() | sort %}
            when '{{ name }}' then {{ 'null' if percent is none else percent }}
            {%- endfor %}
            {%- if not own %}
            when '' then null
            {%- endif %}
            else {{ 'null' if usual is none else usual }}
        end as {{ cdp.type_double() }}) as jump_percent
    from {{ sizes }} as sizes
    inner join limits on limits.build_id = sizes.build_id
),

sizes_before as (
    select
        sizes.audience,
        sizes.members,
        row_number() over (
            partition by sizes.audience
            order by
                case when sizes.{{ at }} <= limits.a_day_before then 0 else 1 end,
                case when sizes.{{ at }} <= limits.a_day_before then sizes.{{ at }} end desc,
                sizes.{{ at }},
                sizes.build_id
        ) as place
    from {{ sizes }} as sizes
    inner join limits on limits.build_id <> sizes.build_id
)

select
    sizes_now.audience,
    sizes_before.members as members_before,
    sizes_now.members as members_now,
    sizes_now.jump_percent
from sizes_now
inner join sizes_before on sizes_before.audience = sizes_now.audience and sizes_before.place = 1
where
    (
        sizes_now.members >= {{ declared.get('jump_from_members', 100) }}
        or sizes_before.members >= {{ declared.get('jump_from_members', 100) }}
    )
    and abs(sizes_now.members - sizes_before.members) * 100 > sizes_now.jump_percent * sizes_before.members
{%- endmacro %}
