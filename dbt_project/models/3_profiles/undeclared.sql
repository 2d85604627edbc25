-- What senders say of events and people that the catalogue does not declare: it stays as it came,
-- in profiles.events.properties and profiles.traits, and is no column. One row per kind (property,
-- trait), event and name. Nobody reads it in a build: it looks through all that was ever said.
{{ config(materialized='view') }}

{% set told = ['kind', 'event', 'profile_id', 'occurred_at', 'arrival'] %}
{% set properties, traits = [], [] %}
{% for property in catalogue_properties().values() %}
{% do properties.extend(property['from']) %}
{% endfor %}
{% for trait in catalogue_traits().values() %}
{% for path in trait['from'] %}{% do traits.append(path.split('.')) %}{% endfor %}
{% endfor %}

with events as (
    select
        'property' as kind,
        case when type = 'track' then event_name else type end as event,
        profile_id,
        occurred_at,
        arrival,
        properties as said
    from {{ ref('events') }}
    where properties is not null
),

identifies as (
    select
        messages.occurred_at,
        messages.arrival,
        messages.traits,
        messages.context_traits,
        set_owners.profile_id
    from {{ ref('messages') }} as messages
    left join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ owner_key('messages') }}
    where messages.type = 'identify'
),

people as (
    select
        'trait' as kind,
        cast(null as {{ dbt.type_string() }}) as event,
        profile_id,
        occurred_at,
        arrival,
        traits as said
    from identifies
    where traits is not null
    union all
    select
        'trait' as kind,
        cast(null as {{ dbt.type_string() }}) as event,
        profile_id,
        occurred_at,
        arrival,
        context_traits as said
    from identifies
    where context_traits is not null and {{ json_kind('context_traits') }} = 'object'
),

entries as (
    {{ undeclared_entries('events', told, 'said', properties) }}
    union all
    {{ undeclared_entries('people', told, 'said', traits) }}
),

named as (
    select
        kind,
        event,
        name,
        count(distinct arrival) as times,
        count(distinct profile_id) as people,
        max(occurred_at) as last_seen_at
    from entries
    group by kind, event, name
),

types as (
    select
        kind,
        event,
        name,
        value_type,
        row_number() over (
            partition by kind, event, name
            order by times desc, value_type asc
        ) as place
    from (
        select
            kind,
            event,
            name,
            {{ value_kind('value') }} as value_type,
            count(*) as times
        from entries
        group by kind, event, name, {{ value_kind('value') }}
    ) as counted
)

select
    named.kind,
    named.event,
    named.name,
    types.value_type,
    named.times,
    named.people,
    named.last_seen_at
from named
inner join types
    on
        types.kind = named.kind
        and coalesce(types.event, '') = coalesce(named.event, '')
        and types.name = named.name
        and types.place = 1
