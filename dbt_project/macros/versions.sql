{# Versions of one thing: an order, a refund, of which a source tells again as it changes. #}

{# A text that says something; null where it is blank. #}
{% macro not_blank(text) -%}
    case when {{ cdp.says_something(text) }} then {{ text }} end
{%- endmacro %}

{# Whether a text says something. #}
{% macro says_something(text) -%}
    coalesce({{ cdp.matches_pattern(text, '[^' ~ cdp.code_points(cdp.blanks() + cdp.invisible()) ~ ']') }}, false)
{%- endmacro %}

{# The time of a version: the source's own time of change, unless it is none or lies in the future; else the time of what it
   tells. #}
{% macro changed_at(text, occurred_at, received_at) -%}
    {{ cdp.let('change', cdp.to_utc(text),
        'case when change <= ' ~ cdp.plus(received_at, hours=24) ~ ' then change else ' ~ occurred_at ~ ' end') }}
{%- endmacro %}

{# For unusable_fields: a time of change that makes no sense. `change`: a column that holds the text's time already. #}
{% macro change_faults(field, text, received_at, told='', change=none) -%}
    {%- set reasons -%}
        case
            when {{ change or 'change' }} > {{ cdp.plus(received_at, hours=24) }} then 'future_timestamp'
            when {{ change or 'change' }} is null and {{ cdp.says_something(text) }} then 'impossible_timestamp'
        end
    {%- endset -%}
    {{ return([{'field': field, 'detail': text, 'when': told ~ text ~ ' is not null',
        'reasons': reasons if change else cdp.let('change', cdp.to_utc(text), reasons)}]) }}
{%- endmacro %}

{# One row per `key`: its latest version by `changed_at`, of equal ones the later arrival. `of_version` are columns that only
   it can tell; a field of `fields` that it lacks stays as the next older version has it. `relation` has all these columns. #}
{% macro latest_version(relation, key, of_version, fields) -%}
select
    {{ key }},
    {% for column in of_version -%}
    max(case when version = 1 then {{ column }} end) as {{ column }},
    {% endfor -%}
    {% for field in fields -%}
    max(case when version = {{ field }}_version then {{ field }} end) as {{ field }}{{ ',' if not loop.last }}
    {% endfor %}
from (
    select
        ranked.*,
        {% for field in fields -%}
        min(case when {{ field }} is not null then version end) over (partition by {{ key }}) as {{ field }}_version{{ ',' if not loop.last }}
        {% endfor %}
    from (
        select
            told.*,
            row_number() over (partition by {{ key }} order by changed_at desc, arrival desc) as version
        from {{ relation }} as told
    ) as ranked
) as compared
group by {{ key }}
{%- endmacro %}
