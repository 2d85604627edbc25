-- Who is in other audiences, entered or left them. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'member_of vips': member_of('vips'),
    'excluding vips': excluding('vips'),
    'entered_within 7 days': entered_within('vips', days=7),
    'entered_within 169 hours': entered_within('vips', hours=169),
    'exited_within 1 hour': exited_within('vips', hours=1),
    'member_of and excluding': member_of('vips') ~ ' and not ' ~ entered_within('vips', days=7),
} %}

with met as (
    select
        asked.place,
        asked.name,
        case asked.place
            {% for holds in conditions.values() -%}
            when {{ loop.index }} then case when {{ holds }} then people.profile_id end
            {% endfor %}
        end as profile_id
    from {{ ref('profiles') }} as people
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
