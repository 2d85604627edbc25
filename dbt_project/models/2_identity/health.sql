-- Is identity in good health? Sizes of people, the largest ones, the values that most people share
-- (candidates for the block list), refusals by rule, and what could not be attributed. One row per
-- (measure, detail). A view.
{{ config(materialized='view') }}

with sizes as (
    select
        profile_id,
        count(*) as held,
        max(
            case when identifier_type in ('user_id', 'email', 'phone') then 1 else 0 end
        ) as is_known
    from {{ ref('identifiers') }}
    group by profile_id
),

largest as (
    select
        profile_id,
        held,
        row_number() over (order by held desc, profile_id asc) as place
    from sizes
),

owned_sets as (
    select
        identifiers,
        profile_id
    from {{ ref('set_owners') }}
    {% if sources_under('update_only') -%}
    where identifiers not like {{ attachment_key("'%'") }}
    {%- endif %}
),

entries as (
    {{ explode_identifiers('owned_sets', ['profile_id']) }}
),

spelled as (
    select
        profile_id,
        identifier_type,
        {{ spelled_identifier(
            'identifier_type', 'value_as_given', plain='is_plain',
        ) }} as identifier_value
    from entries
    where item_count > 1
),

sharing as (
    select
        identifier_type,
        identifier_value,
        count(distinct profile_id) as people
    from spelled
    group by identifier_type, identifier_value
    having count(distinct profile_id) > 1
),

most_shared as (
    select
        identifier_type || '=' || identifier_value as shared_value,
        people,
        row_number() over (order by people desc, identifier_type asc, identifier_value asc) as place
    from sharing
    where {{ blocking_rule('identifier_type', 'identifier_value') }} is null
),

attributed as (
    select
        count(*) as messages,
        sum(case when set_owners.profile_id is null then 1 else 0 end) as of_nobody
    from {{ ref('messages') }} as messages
    left join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ owner_key('messages') }}
)

select
    'profiles_by_identifiers' as measure,
    case
        when held = 1 then '1' when held = 2 then '2' when held <= 5 then '3 to 5'
        when held <= 10 then '6 to 10' when held <= 50 then '11 to 50' else 'over 50'
    end as detail,
    cast(count(*) as {{ dbt.type_float() }}) as amount
from sizes
group by
    case
        when held = 1 then '1' when held = 2 then '2' when held <= 5 then '3 to 5'
        when held <= 10 then '6 to 10' when held <= 50 then '11 to 50' else 'over 50'
    end
union all
select
    'identifiers_of_largest_profiles' as measure,
    profile_id as detail,
    held as amount
from largest
where place <= 10
union all
select
    'people_who_share_value' as measure,
    shared_value as detail,
    people as amount
from most_shared
where place <= 10
union all
select
    'refused_identifiers' as measure,
    rule as detail,
    count(*) as amount
from {{ ref('refusals') }}
group by rule
union all
{% if sources_under('update_only') -%}
select
    'messages_of_nobody' as measure,
    'update_only_no_match' as detail,
    count(*) as amount
from {{ ref('attachments') }}
where identifier is null
union all
{% endif -%}
{% if sources_under('read_only') -%}
select
    'messages_of_nobody' as measure,
    'read_only' as detail,
    count(*) as amount
from {{ ref('messages') }}
where {{ is_under('read_only', 'source') }}
union all
{% endif -%}
select
    'share' as measure,
    'messages of nobody' as detail,
    coalesce(cast(of_nobody as {{ type_double() }}) / nullif(messages, 0), 0) as amount
from attributed
union all
select
    'share' as measure,
    'anonymous people' as detail,
    coalesce(1 - avg(cast(is_known as {{ type_double() }})), 0) as amount
from sizes
