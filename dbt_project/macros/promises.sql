{# A row for each promise of the relation that is broken: `promise`, as a person reads it, and `broken`, how many rows or keys
break it. `more`: other promises, each a query of the rows that break it. #}
{% macro broken_promises(relation, never_null=[], unique=[], accepted_values={}, relationships={}, more={}) -%}
{%- set promises = [] -%}
{%- for column in never_null -%}
    {%- do promises.append(('never_null(' ~ column ~ ')', 'missing_' ~ loop.index)) -%}
{%- endfor -%}
with missing as (
    select
        {%- for column in never_null %}
        count(case when {{ cdp.column_name(column) }} is null then 1 end) as missing_{{ loop.index }},
        {%- endfor %}
        count(*) as all_rows
    from {{ relation }}
),

counted as (
    select cast('rows' as {{ dbt.type_string() }}) as promise, cast(0 as {{ dbt.type_bigint() }}) as broken
    {%- for promise, column in promises %}
    union all
    select '{{ promise }}', {{ column }} from missing
    {%- endfor %}
    {%- for promise in unique %}
    {%- set columns = promise.columns if promise is mapping else [promise] if promise is string else promise %}
    union all
    select 'unique({{ columns | join(', ') }})', count(*)
    from (
        select {% for column in columns %}{{ cdp.column_name(column) }}{{ ', ' if not loop.last }}{% endfor %}
        from {{ relation }}
        where {{ promise.where if promise is mapping else 'true' }}
        {%- if columns | length == 1 %} and {{ cdp.column_name(columns[0]) }} is not null{% endif %}
        group by {% for column in columns %}{{ cdp.column_name(column) }}{{ ', ' if not loop.last }}{% endfor %}
        having count(*) > 1
    ) as repeated
    {%- endfor %}
    {%- for column, accepted in accepted_values.items() %}
    union all
    select 'accepted_values({{ column }})', count(*)
    from {{ relation }}
    where {{ cdp.column_name(column) }} not in ('{{ accepted | join("', '") }}')
    {%- endfor %}
    {%- for column, parent in relationships.items() %}
    union all
    select 'relationships({{ column }})', count(*)
    from {{ relation }} as child
    left join {{ parent.to }} as parent on parent.{{ cdp.column_name(parent.field) }} = child.{{ cdp.column_name(column) }}
    where child.{{ cdp.column_name(column) }} is not null and parent.{{ cdp.column_name(parent.field) }} is null
    {%- endfor %}
    {%- for promise, query in more.items() %}
    union all
    select '{{ promise }}', count(*)
    from ({{ query }}) as breaking
    {%- endfor %}
)

select promise, broken
from counted
where broken > 0
{%- endmacro %}

{# components/build.py knows the sentence by its beginning. #}
{% macro broken_in_words(promise, broken) -%}
    {{ return('broken promise: ' ~ promise ~ ' by ' ~ broken) }}
{%- endmacro %}
