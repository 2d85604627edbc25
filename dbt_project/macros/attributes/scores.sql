{# Scores without training. #}

{# From 1 for the lowest fifth of the rows to 5 for the highest. Equals have one score, that of the
   lowest of them: it does not depend on the order of rows. `of`: how many rows there are. #}
{% macro quintile(column, of) -%}
    {%- set below = '(rank() over (order by ' ~ column ~ ') - 1)' -%}
    cast(
        1 + floor({{ below }} * cast(5 as {{ cdp.type_double() }}) / {{ of }})
        as {{ dbt.type_bigint() }}
    )
{%- endmacro %}
