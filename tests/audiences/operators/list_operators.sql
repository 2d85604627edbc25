-- Who meets each operator on a list. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'includes red': condition('given.items', 'includes', 'red', type='list'),
    'includes Red, case_sensitive': condition('given.items', 'includes', 'Red', type='list', case_sensitive=true),
    'not_includes red': condition('given.items', 'not_includes', 'red', type='list'),
    'not_includes red, of the known': condition('given.items', 'not_includes', 'red', type='list', missing_matches_negative=false),
    'partial_match RED': condition('given.items', 'partial_match', 'RED', type='list'),
    'not_partial_match RED': condition('given.items', 'not_partial_match', 'RED', type='list'),
    'intersects BLUE, reddish': condition('given.items', 'intersects', ['BLUE', 'reddish'], type='list'),
    'not_intersects BLUE, reddish': condition('given.items', 'not_intersects', ['BLUE', 'reddish'], type='list'),
    'contains_all red, 3': condition('given.items', 'contains_all', ['red', 3], type='list'),
    'size >= 3': condition('given.items', 'size', ('>=', 3), type='list'),
    'size = 0': condition('given.items', 'size', ('=', 0), type='list'),
    'is_empty': condition('given.items', 'is_empty', type='list'),
    'exists': condition('given.items', 'exists', type='list'),
    'not_exists': condition('given.items', 'not_exists', type='list'),
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
