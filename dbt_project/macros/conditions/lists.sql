{# Conditions on a list (a JSON array as text): the positive operators; condition() turns them around and says what a missing
   list means. Items are compared as texts. #}
{% macro list_condition(field, list, operator, value, case_sensitive) -%}
    {%- if operator == 'is_empty' -%}
        {{ cdp.item_count(list) }} = 0
    {%- elif operator == 'size' -%}
        {%- if value is string or value is mapping or value is not sequence or value | length != 2 -%}
            {{ cdp.refuse_condition(field, "size needs a comparison, like ('>=', 3), not " ~ value) }}
        {%- endif -%}
        {{ cdp.condition(cdp.item_count(list), value[0], value[1], type='number') }}
    {%- elif operator == 'contains_all' -%}
        {%- set parts = [] -%}
        {%- for each in cdp.values_of(field, operator, value) -%}
            {%- do parts.append(cdp.list_condition(field, list, 'includes', each, case_sensitive) | trim) -%}
        {%- endfor -%}
        {{ parts | join(' and ') }}
    {%- else -%}
        {%- if operator == 'includes' -%}{%- do cdp.one_value(field, operator, value) -%}{%- endif -%}
        {%- set of_item = {'includes': 'in', 'intersects': 'in', 'partial_match': 'contains'}[operator] -%}
        {{ cdp.any_item(list, cdp.condition('item', of_item, value, type='text', case_sensitive=case_sensitive) | trim) }}
    {%- endif -%}
{%- endmacro %}
