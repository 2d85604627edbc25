{# Conditions on a text: the positive operators; condition() turns them around and says what a
   missing text means. #}
{% macro text_condition(field, text, operator, value, case_sensitive) -%}
    {%- if operator == 'is_empty' -%}
        not {{ cdp.has_text(text) }}
    {%- elif operator == 'regex' -%}
        {%- set pattern = cdp.one_value(field, operator, value) | string -%}
        {{ cdp.matches_regex(text, pattern, case_sensitive) }}
    {%- else -%}
        {%- set said = text if case_sensitive else cdp.lower_text(text) -%}
        {%- set values, literals = [], [] -%}
        {%- for each in cdp.values_of(field, operator, value) -%}
            {%- set word = each | string -%}
            {%- do values.append(word if case_sensitive else cdp.lower_word(word)) -%}
            {%- do literals.append(cdp.text_literal(values[-1])) -%}
        {%- endfor -%}
        {%- if operator in ('equals', 'pattern') -%}
            {%- do cdp.one_value(field, operator, value) -%}
        {%- endif -%}
        {%- if operator == 'equals' -%}
            {{ said }} = {{ literals[0] }}
        {%- elif operator == 'in' -%}
            {{ said }} in ({{ literals | join(', ') }})
        {%- elif operator == 'pattern' -%}
            {{ cdp.matches_pattern('(' ~ said ~ ')', cdp.pattern_as_regex(values[0])) }}
        {%- else -%}
            {%- set parts = [] -%}
            {%- for literal in literals -%}
                {%- do parts.append({
                    'contains': dbt.position(literal, said) ~ ' > 0',
                    'starts_with': 'substr(' ~ said ~ ', 1, length(' ~ literal ~ ')) = ' ~ literal,
                    'ends_with': 'right(' ~ said ~ ', length(' ~ literal ~ ')) = ' ~ literal,
                }[operator] | trim) -%}
            {%- endfor -%}
            {{ parts | join(' or ') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# A word in lower case, as lower_text gives it. #}
{% macro lower_word(word) -%}
    {{ return(word | replace('İ', 'i') | lower | replace('ς', 'σ') | replace('i̇', 'i')) }}
{%- endmacro %}

{# `*` stands for any letters or none, `?` for one; over lines, too. #}
{% macro pattern_as_regex(pattern) -%}
    {%- set parts = [] -%}
    {%- for letter in pattern -%}
        {%- do parts.append(
            '(.|\\n)*' if letter == '*' else '(.|\\n)' if letter == '?'
            else '\\' ~ letter if letter in '\\.+^$|()[]{}' else letter
        ) -%}
    {%- endfor -%}
    {{ return('^' ~ parts | join ~ '$') }}
{%- endmacro %}
