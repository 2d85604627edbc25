-- Who consents, and who has which identifiers. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'has_consent granted': has_consent('gdpr', 'email_marketing'),
    'has_consent denied': has_consent('gdpr', 'email_marketing', 'denied'),
    'has_consent missing': has_consent('gdpr', 'email_marketing', 'missing'),
    'has_identifier email': has_identifier('email'),
    'not has_identifier email': 'not ' ~ has_identifier('email'),
    'has_identifier ends_with @SHOP.EXAMPLE': has_identifier('email', 'ends_with', '@SHOP.EXAMPLE'),
    'has_identifier equals, case_sensitive': has_identifier('email', 'equals', 'jo@shop.example', case_sensitive=true),
    'has_device': has_device(),
    'has_device ios': has_device('ios'),
    'not has_device android': 'not ' ~ has_device('android'),
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
