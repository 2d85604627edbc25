{# The identity rules of dbt_project.yml (vars: identity) as SQL. #}

{% macro identifier_types() -%}
    {{ cdp.string_literals(var('identity')['identifiers'].keys() | list) }}
{%- endmacro %}

{# 1 is the strongest; an undeclared type comes last. #}
{% macro identifier_priority(type) -%}
    case {{ type }}
        {% for name, rule in var('identity')['identifiers'].items() -%}
        when '{{ name }}' then {{ rule['priority'] }}
        {% endfor %}
        else 1000000
    end
{%- endmacro %}

{# How many values of a type one profile may ever hold. #}
{% macro identifier_limit(type) -%}
    case
        {% for name, rule in var('identity')['identifiers'].items() if rule.get('limit') -%}
        when {{ type }} = '{{ name }}' then {{ rule['limit'] }}
        {% endfor %}
        when true then 1000000000
    end
{%- endmacro %}

{% macro string_literals(values) -%}
    {%- set literal = adapter.dispatch('text_literal', 'cdp') -%}
    {%- for value in values -%}
        {{ literal(value | string) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
