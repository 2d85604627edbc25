{# How far each source is trusted: vars: sources. A source that is not named there is like every
   other: all write with equal right, and each may found a person. #}

{# Who may write a trait, the strongest first. #}
{% macro source_tiers() -%}
    {{ return(['calculated', 'account', 'feed', 'sdk', 'csv', 'partner_feed']) }}
{%- endmacro %}

{# What a source may do to people: found and change them; change those who are there; neither. #}
{% macro source_protections() -%}
    {{ return(['create_and_update', 'update_only', 'read_only']) }}
{%- endmacro %}

{# {source: {tier, protection}} of every source that vars: sources names; tier is none where it is
   left out. #}
{% macro source_rules() -%}
    {%- set rules = {} -%}
    {%- set allowed = {'tier': cdp.source_tiers(), 'protection': cdp.source_protections()} -%}
    {%- for source, entry in (var('sources', {}) or {}).items() -%}
        {%- set field = 'dbt_project.yml: vars.sources: ' ~ source -%}
        {%- if entry is not mapping or entry.keys() | reject('in', allowed) | list -%}
            {{ exceptions.raise_compiler_error(
                field ~ ' is ' ~ entry ~ '; write {tier: feed, protection: update_only}, or one of the two.'
            ) }}
        {%- endif -%}
        {%- for name, value in entry.items() if value not in allowed[name] -%}
            {{ exceptions.raise_compiler_error(
                field ~ ': ' ~ name ~ ' is ' ~ value ~ '; write one of ' ~ allowed[name] | join(', ') ~ '.'
            ) }}
        {%- endfor -%}
        {%- do rules.update({source: {
            'tier': entry.get('tier'),
            'protection': entry.get('protection', 'create_and_update'),
        }}) -%}
    {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}
