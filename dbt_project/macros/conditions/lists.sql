{# Conditions on a list (a JSON array as text): the positive operators; condition() turns them
   around and says what a missing list means. Items are compared as texts. #}
{% macro list_condition(field, list, operator, value, case_sensitive) -%}
    {%- if operator == 'is_empty' -%}
        {{ cdp.item_count(list) }} = 0
    {%- elif operator == 'size' -%}
        {%- set size, count = cdp.comparison_of(field, 'size', value), cdp.item_count(list) -%}
        {{ cdp.typed_condition(field, count, 'integer', size[0], size[1]) }}
    {%- elif operator == 'contains_all' -%}
        {%- set parts = [] -%}
        {%- for each in cdp.values_of(field, operator, value) -%}
            {%- set part = cdp.list_condition(field, list, 'includes', each, case_sensitive) -%}
            {%- do parts.append(part | trim) -%}
        {%- endfor -%}
        {{ parts | join(' and ') }}
    {%- else -%}
        {%- if operator == 'includes' -%}
            {%- do cdp.one_value(field, operator, value) -%}
        {%- endif -%}
        {%- set of_item = 'contains' if operator == 'partial_match' else 'in' -%}
        {{ cdp.any_item(list, cdp.typed_condition(
            field, 'item', 'text', of_item, value, case_sensitive=case_sensitive
        ) | trim) }}
    {%- endif -%}
{%- endmacro %}
