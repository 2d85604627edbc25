{# Scores without training: where a row stands among all rows. Equals have one score, that of the
   lowest of them: it does not depend on the order of rows. `of`: how many rows there are. #}

{# From 1 for the lowest fifth of the rows to 5 for the highest. #}
{% macro quintile(column, of) -%}
    {%- set below = '(rank() over (order by ' ~ column ~ ') - 1)' -%}
    cast(
        1 + floor({{ below }} * cast(5 as {{ cdp.type_double() }}) / {{ of }})
        as {{ dbt.type_bigint() }}
    )
{%- endmacro %}

{# The share of the other rows that have less, as a whole number from 0 to 100. (Not round():
   engines differ on what half is.) #}
{% macro percentile_score(column, of) -%}
    {%- set below = '(rank() over (order by ' ~ column ~ ') - 1)' -%}
    cast(
        floor(
            {{ below }} * cast(100 as {{ cdp.type_double() }}) / greatest({{ of }} - 1, 1) + 0.5
        ) as {{ dbt.type_bigint() }}
    )
{%- endmacro %}
