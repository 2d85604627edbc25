{# The identity rules of dbt_project.yml (vars: identity) as SQL. #}

{% macro identifier_types() -%}
    {% for type in var('identity')['identifiers'] %}'{{ type }}'{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro identifier_priority(type) -%}
    case {{ type }}
        {% for name, rule in var('identity')['identifiers'].items() %}when '{{ name }}' then {{ rule['priority'] }}
        {% endfor %}
    end
{%- endmacro %}

{% macro normalised_identifier(type, value) -%}
    {%- set lowered = [] -%}
    {%- for name, rule in var('identity')['identifiers'].items() if rule.get('normalise') == 'lower' -%}
        {%- do lowered.append("'" ~ name ~ "'") -%}
    {%- endfor -%}
    {% if lowered %}case when {{ type }} in ({{ lowered | join(', ') }}) then lower({{ value }}) else {{ value }} end
    {%- else %}{{ value }}{% endif %}
{%- endmacro %}

{# The name of the rule that keeps a value from identifying anybody; null where none does. #}
{% macro blocking_rule(type, value) -%}
    {%- set rules = var('identity') -%}
    case
        {% for name, values in rules.get('blocked', {}).items() -%}
        when {{ type }} = '{{ name }}' and lower({{ value }}) in ({{ cdp.string_literals(values) }}) then 'blocked_for_{{ name }}'
        {% endfor -%}
        {% if rules.get('blocked_values') -%}
        when lower({{ value }}) in ({{ cdp.string_literals(rules['blocked_values']) }}) then 'blocked_value'
        {% endif -%}
        {% if rules.get('block_zeroes', true) -%}
        when replace(replace({{ value }}, '0', ''), '-', '') = '' then 'blocked_zeroes'
        {% endif %}
    end
{%- endmacro %}

{% macro string_literals(values) -%}
    {% for value in values %}'{{ value | string | lower | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}
