{# Conditions on a date or a timestamp (UTC): the positive operators; condition() turns them around
   and says what a missing time means. A date in a condition is the whole day, from 00:00 to the
   next; a day in a window is 24 hours, from the build's as_of. #}
{% macro time_condition(field, moment, operator, value) -%}
    {%- if operator in ('within_last', 'before_last', 'within_next', 'after_next') -%}
        {%- set hours = cdp.hours_of(field, operator, value) -%}
        {%- if operator == 'within_last' -%}
            {{ cdp.happened(moment, last_hours=hours) }}
        {%- elif operator == 'before_last' -%}
            {{ moment }} <= {{ cdp.as_of_minus(hours=hours) }}
        {%- elif operator == 'within_next' -%}
            {{ moment }} > {{ cdp.as_of() }} and {{ moment }} <= {{ cdp.as_of_minus(hours=-hours) }}
        {%- else -%}
            {{ moment }} > {{ cdp.as_of_minus(hours=-hours) }}
        {%- endif -%}
    {%- elif operator == 'anniversary' -%}
        {{ cdp.is_anniversary(field, moment, value) }}
    {%- elif operator == 'between' -%}
        {%- set low, high = cdp.bounds_of(field, value) -%}
        {{ moment }} >= {{ cdp.start_of(field, low) }}
        and {{ moment }} {{ cdp.until_end_of(field, high) }}
    {%- elif operator == 'on' -%}
        {%- if not cdp.is_day(value) -%}
            {{ cdp.refuse_condition(field, "on needs a date ('2026-10-01'), not " ~ value) }}
        {%- endif -%}
        {{ moment }} >= {{ cdp.start_of(field, value) }}
        and {{ moment }} {{ cdp.until_end_of(field, value) }}
    {%- elif operator == 'before' -%}
        {{ moment }} < {{ cdp.start_of(field, value) }}
    {%- elif operator == 'on_or_before' -%}
        {{ moment }} {{ cdp.until_end_of(field, value) }}
    {%- else -%}
        {#- after has the day that it names and before has not: together they leave no gap. -#}
        {{ moment }} >= {{ cdp.start_of(field, value) }}
    {%- endif -%}
{%- endmacro %}

{# The hours of a window: 7 and {'days': 7} are days of 24 hours, {'hours': 12} hours. #}
{% macro hours_of(field, operator, value) -%}
    {%- set window = value if value is mapping else {'days': value} -%}
    {%- set sizes = [] -%}
    {%- for unit, size in window.items() -%}
        {%- if unit in ('days', 'hours') and size is integer and size is not boolean
            and size > 0 -%}
            {%- do sizes.append(size * (24 if unit == 'days' else 1)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if window | length != 1 or sizes | length != 1 -%}
        {{ cdp.refuse_condition(
            field,
            operator ~ " needs a whole number of days above 0 (7), or {'hours': 12}, not " ~ value
        ) }}
    {%- endif -%}
    {{ return(sizes[0]) }}
{%- endmacro %}

{% macro is_day(value) -%}
    {%- set form = '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' -%}
    {{ return(value is string and modules.re.match(form, value) is not none) }}
{%- endmacro %}

{# A date or a moment of a condition, as it is written. #}
{% macro start_of(field, value) -%}
    {%- set form = '^(19|2[01])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
        ~ '([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?$' -%}
    {%- set text = value | string -%}
    {%- set long = text[5:7] in ('01', '03', '05', '07', '08', '10', '12') -%}
    {%- set leap = text[2:4] != '00' and text[2:4] | int % 4 == 0 or text[:4] == '2000' -%}
    {%- if not modules.re.match(form, text) or (text[8:10] == '31' and not long)
        or (text[5:7] == '02' and text[8:10] | int > (29 if leap else 28)) -%}
        {{ cdp.refuse_condition(
            field,
            "write a date ('2026-10-01') or a moment in UTC ('2026-10-01 18:30'), not " ~ value
        ) }}
    {%- endif -%}
    {%- set seconds = ':00' if text | length == 16 else '' -%}
    {{ return(cdp.timestamp_literal(text | replace('T', ' ') ~ seconds)) }}
{%- endmacro %}

{# Up to a moment, and to the end of a date. #}
{% macro until_end_of(field, value) -%}
    {%- set start = cdp.start_of(field, value) -%}
    {{ return('< ' ~ cdp.plus(start, days=1) if cdp.is_day(value) else '<= ' ~ start) }}
{%- endmacro %}

{# Whether the day is one of earlier years that comes round today, or in that many days from today
   on (`days`: 7 is a week from now). In a year without the 29th of February its turn is on the
   28th. #}
{% macro is_anniversary(field, moment, value) -%}
    {%- set days = value if value is not none else 0 -%}
    {%- if days is boolean or days is not integer or days < 0 or days > 363 -%}
        {{ cdp.refuse_condition(
            field,
            'anniversary needs no value (today), or up to 363 days from today on, not ' ~ value
        ) }}
    {%- endif -%}
    {%- set end = cdp.as_of_minus(days=-(days + 1)) -%}
    {{ moment }} < {{ dbt.date_trunc('day', cdp.as_of()) }}
    and {{ cdp.days_from_today(moment) }} < {{ cdp.days_from_today(end) }}
{%- endmacro %}

{# How far after today a day stands in the round of the year, in steps of day_of_year. #}
{% macro days_from_today(moment) -%}
    {%- set day, today = cdp.day_of_year(moment), cdp.day_of_year(cdp.as_of()) -%}
    (case when {{ day }} < {{ today }} then 1300 else 0 end + {{ day }} - {{ today }})
{%- endmacro %}

{# 1231 is the 31st of December. #}
{% macro day_of_year(moment) -%}
    (extract(month from {{ moment }}) * 100 + extract(day from {{ moment }}))
{%- endmacro %}
