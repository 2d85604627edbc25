{# Who meets each of these conditions ({name: condition}) on the rows of a relation, as text: the table that the
   unit tests in operators/ hold against. One row per condition. #}
{% macro who_meets(conditions, relation, row) -%}
with met as (
    select
        asked.place,
        asked.name,
        case asked.place
            {% for holds in conditions.values() -%}
            when {{ loop.index }} then case when {{ holds }} then {{ row }}.profile_id end
            {% endfor %}
        end as profile_id
    from {{ relation }} as {{ row }}
    cross join (
        {% for name in conditions -%}
        {{ 'union all ' if not loop.first }}select {{ loop.index }} as place, '{{ name }}' as name
        {% endfor %}
    ) as asked
)

select
    name as asked,
    coalesce({{ cdp.joined_texts('profile_id', 'profile_id') }}, '') as who
from met
group by place, name
{%- endmacro %}
