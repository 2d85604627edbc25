{# Text to numbers: null where the text is none. (dbt.safe_cast is a plain cast on DuckDB and PostgreSQL, and fails there.) #}

{# Dollars and cents, rounded half away from zero. #}
{% macro to_money(expression) -%}
    {{ return(adapter.dispatch('to_money', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__to_money(expression) -%}
    {{ cdp.not_on_this_engine('to_money') }}
{%- endmacro %}

{% macro duckdb__to_money(expression) -%}
    try_cast({{ expression }} as decimal(18, 2))
{%- endmacro %}

{# `type` is bigint, double or boolean. #}
{% macro to_type(expression, type) -%}
    {{ return(adapter.dispatch('to_type', 'cdp')(expression, type)) }}
{%- endmacro %}

{% macro default__to_type(expression, type) -%}
    {{ cdp.not_on_this_engine('to_type') }}
{%- endmacro %}

{% macro duckdb__to_type(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{# The text of a JSON number, a whole one without a fraction or an exponent: 4214.0 is 4214. (What is too long for a decimal
   stays as it is.) #}
{% macro whole_number(expression) -%}
    case
        when {{ expression }} = '-0.0' then '0'
        when {{ expression }} like '%.0'
            then substring({{ expression }}, 1, length({{ expression }}) - 2)
        when {{ expression }} like '%e%' and {{ expression }} not like '%e-%'
            then coalesce({{ cdp.digits_of('cast(' ~ expression ~ ' as ' ~ dbt.type_string() ~ ')') }}, {{ expression }})
        else {{ expression }}
    end
{%- endmacro %}

{# 1e21 in digits; null where there are more than 38 of them. #}
{% macro digits_of(expression) -%}
    {{ return(adapter.dispatch('digits_of', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__digits_of(expression) -%}
    cast(null as {{ dbt.type_string() }})
{%- endmacro %}

{% macro duckdb__digits_of(expression) -%}
    cast(try_cast({{ expression }} as decimal(38, 0)) as varchar)
{%- endmacro %}

{% macro postgres__digits_of(expression) -%}
    cast(case
        when abs(landing.try_numeric({{ expression }})) < 1e38 then cast(landing.try_numeric({{ expression }}) as numeric(38, 0))
    end as text) collate "C"
{%- endmacro %}

{# A 64-bit floating point number. #}
{% macro type_double() -%}
    {{ return(adapter.dispatch('type_double', 'cdp')()) }}
{%- endmacro %}

{% macro default__type_double() -%}
    double precision
{%- endmacro %}

{# The spellings that DuckDB takes for a boolean. #}
{% macro boolean_from_text(expression) -%}
    case
        when lower({{ expression }}) in ('true', 't', 'yes', 'y', '1') then true
        when lower({{ expression }}) in ('false', 'f', 'no', 'n', '0') then false
    end
{%- endmacro %}

{# A number as a decimal with nine places, which adds up to the same in any order; null where it is
   1e20 or more, which says nothing of a person and would be too large a sum. #}
{% macro to_exact(expression) -%}
    {{ return(adapter.dispatch('to_exact', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__to_exact(expression) -%}
    case when abs({{ expression }}) < 1e20 then cast({{ expression }} as decimal(38, 9)) end
{%- endmacro %}

{# By way of its shortest text: the digits that the sender wrote. #}
{% macro duckdb__to_exact(expression) -%}
    case when abs({{ expression }}) < 1e20 then cast(cast({{ expression }} as varchar) as decimal(38, 9)) end
{%- endmacro %}

{% macro postgres__to_exact(expression) -%}
    case when abs({{ expression }}) < 1e20 then cast(cast({{ expression }} as text) as numeric(38, 9)) end
{%- endmacro %}

{% macro bigquery__to_exact(expression) -%}
    case when abs({{ expression }}) < 1e20 then cast({{ expression }} as numeric) end
{%- endmacro %}

{# Such a decimal as a double. #}
{% macro from_exact(expression) -%}
    {{ return(adapter.dispatch('from_exact', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__from_exact(expression) -%}
    cast({{ expression }} as {{ cdp.type_double() }})
{%- endmacro %}

{# It would divide by 1e9 in doubles, and be off by a bit where the sum is large. #}
{% macro duckdb__from_exact(expression) -%}
    cast(cast({{ expression }} as varchar) as double)
{%- endmacro %}

{# The sum of numbers as a double, the same in whatever order they come; an aggregate. #}
{% macro exact_sum(expression) -%}
    {{ cdp.from_exact('sum(' ~ cdp.to_exact(expression) ~ ')') }}
{%- endmacro %}

{# Such a decimal as a JSON number: 12.5, 12, 0. #}
{% macro exact_text(expression) -%}
    {%- set digits = 'cast(' ~ expression ~ ' as ' ~ dbt.type_string() ~ ')' -%}
    {%- set shorter = cdp.replaced_pattern(digits, '([.][0-9]*[1-9])0+$', '\\1') -%}
    case when {{ expression }} = 0 then '0' else {{ cdp.replaced_pattern(shorter, '[.]0+$', '') }} end
{%- endmacro %}

{# What is left of a whole number that is divided by another one. #}
{% macro remainder(number, by) -%}
    {{ return(adapter.dispatch('remainder', 'cdp')(number, by)) }}
{%- endmacro %}

{% macro default__remainder(number, by) -%}
    ({{ number }}) % {{ by }}
{%- endmacro %}
