-- Who meets each operator on a boolean. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'is_true': condition('given.flag', 'is_true', type='boolean'),
    'Is True, in words': condition('given.flag', 'Is True', type='boolean'),
    'is_false': condition('given.flag', 'is_false', type='boolean'),
    'equals false': condition('given.flag', 'equals', false, type='boolean'),
    'not_equals false': condition('given.flag', 'not_equals', false, type='boolean'),
    'not_equals false, of the known': condition('given.flag', 'not_equals', false, type='boolean', missing_matches_negative=false),
    'exists': condition('given.flag', 'exists', type='boolean'),
    'not_exists': condition('given.flag', 'not_exists', type='boolean'),
} %}

with met as (
    select
        asked.place,
        asked.name,
        case asked.place
            {% for holds in conditions.values() -%}
            when {{ loop.index }} then case when {{ holds }} then given.profile_id end
            {% endfor %}
        end as profile_id
    from {{ ref('given_values') }} as given
    cross join (
        {% for name in conditions -%}
        {{ 'union all ' if not loop.first }}select {{ loop.index }} as place, '{{ name }}' as name
        {% endfor %}
    ) as asked
)

select
    name as asked,
    coalesce({{ joined_texts('profile_id', 'profile_id') }}, '') as who
from met
group by place, name
