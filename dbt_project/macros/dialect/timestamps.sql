{# Source times as UTC timestamps, microseconds, without zone. #}

{# Text to UTC. A text with an offset or Z is converted; a naive one is read in `timezone`. Null where the text is no
   possible time (month 13, year 290000). #}
{% macro to_utc(expression, timezone='UTC') -%}
    {{ return(adapter.dispatch('to_utc', 'cdp')(expression, timezone)) }}
{%- endmacro %}

{% macro default__to_utc(expression, timezone) -%}
    {%- set zoned -%}
        regexp_matches({{ expression }}, '[T ][0-9]{2}:[0-9]{2}[0-9:.,]*\s*(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$')
    {%- endset -%}
    case
        when not regexp_matches({{ expression }}, '^\s*(19|2[01])[0-9]{2}-') then null
        when {{ zoned }} then try_cast({{ expression }} as timestamptz) at time zone 'UTC'
        {% if timezone == 'UTC' -%}
        else try_cast({{ expression }} as timestamp)
        {%- else -%}
        else timezone('{{ timezone }}', try_cast({{ expression }} as timestamp)) at time zone 'UTC'
        {%- endif %}
    end
{%- endmacro %}

{# ISO 8601 text of a UTC timestamp: 2026-01-31T23:59:59.000000Z. #}
{% macro iso_text(expression) -%}
    {{ return(adapter.dispatch('iso_text', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__iso_text(expression) -%}
    strftime({{ expression }}, '%Y-%m-%dT%H:%M:%S.%fZ')
{%- endmacro %}

{# A moment `seconds`, `hours` or `days` (of 24 hours) after another; negative amounts are before it. #}
{% macro plus(expression, seconds=0, hours=0, days=0) -%}
    ({{ adapter.dispatch('plus', 'cdp')(expression, seconds + 3600 * hours + 86400 * days) }})
{%- endmacro %}

{% macro default__plus(expression, seconds) -%}
    {{ dbt.dateadd('second', seconds, expression) }}
{%- endmacro %}

{# A text that is an ISO time literal, as a UTC timestamp. #}
{% macro timestamp_literal(text) -%}
    cast('{{ text }}' as {{ dbt.type_timestamp() }})
{%- endmacro %}
