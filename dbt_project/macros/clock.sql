{# The clock of a build. Models read it from staging.current_build when they run, never from --vars. #}

{# The moment a build speaks for. #}
{% macro as_of() -%}
    (select current_build.as_of from {{ ref('current_build') }} as current_build)
{%- endmacro %}

{% macro as_of_minus(days=0, hours=0) -%}
    {{ cdp.plus(cdp.as_of(), days=-days, hours=-hours) }}
{%- endmacro %}

{# 'Last N days' is as_of - N * 24 h < column <= as_of; without days or hours, everything up to as_of. #}
{% macro happened(column, last_days=none, last_hours=none) -%}
    {{ column }} <= {{ cdp.as_of() }}
    {%- if last_days is not none or last_hours is not none %} and {{ column }} > {{
        cdp.as_of_minus(days=last_days or 0, hours=last_hours or 0)
    }}{% endif -%}
{%- endmacro %}
