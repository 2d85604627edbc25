-- What is known about each person and why: of all identify messages of a person, the latest that
-- set a trait wins, by time of event, then by arrival; a null removes the trait, a blank says
-- nothing. Traits go by the catalogue's names. One row per (profile, trait).
{% set told = ['profile_id', 'message_id', 'source', 'occurred_at', 'arrival', 'behind'] %}
with identifies as (
    select
        messages.message_id,
        messages.source,
        messages.occurred_at,
        messages.arrival,
        messages.traits,
        messages.context_traits,
        set_owners.profile_id
    from {{ ref('messages') }} as messages
    inner join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ owner_key('messages') }}
    where messages.type = 'identify' and set_owners.profile_id is not null
),

-- A key in traits wins over the same in context.traits.
objects as (
    select
        profile_id,
        message_id,
        source,
        occurred_at,
        arrival,
        0 as behind,
        traits as entries
    from identifies
    where traits is not null
    union all
    select
        profile_id,
        message_id,
        source,
        occurred_at,
        arrival,
        1 as behind,
        context_traits as entries
    from identifies
    where context_traits is not null and {{ json_kind('context_traits') }} = 'object'
),

entries as (
    {{ explode_object('objects', told, 'entries') }}
),

-- What the catalogue reads out of an object; an object that is null says so of all that is in it.
{% for name in trait_objects() -%}
object_{{ loop.index }} as (
    select
        {{ told | join(', ') }},
        entry_value as entries
    from entries
    where entry_key = '{{ name }}' and entry_value like '{' || '%'
),

in_object_{{ loop.index }} as (
    {{ explode_object('object_' ~ loop.index, told, 'entries') }}
),

{% endfor -%}
paths as (
    select
        {{ told | join(', ') }},
        entry_key as path,
        entry_value as value
    from entries
    {%- for name, paths in trait_objects().items() %}
    union all
    select
        {{ told | join(', ') }},
        '{{ name }}.' || entry_key as path,
        entry_value as value
    from in_object_{{ loop.index }}
    where '{{ name }}.' || entry_key in ({{ string_literals(paths) }})
    {%- for path in paths %}
    union all
    select
        {{ told | join(', ') }},
        '{{ path }}' as path,
        entry_value as value
    from entries
    where entry_key = '{{ name }}' and entry_value = 'null'
    {%- endfor %}
    {%- endfor %}
),

named as (
    select
        {{ told | join(', ') }},
        {{ trait_of('path') }} as trait,
        {{ place_of_path('path') }} as place_of_path,
        value
    from paths
),

writes as (
    select *
    from named
    where value = 'null' or {{ said_of_trait('trait', 'value') }} is not null
),

ranked as (
    select
        *,
        row_number() over (
            partition by profile_id, trait
            order by
                occurred_at desc,
                arrival desc,
                behind asc,
                case when value = 'null' then 1 else 0 end asc,
                place_of_path asc
        ) as place
    from writes
)

select
    profile_id,
    trait,
    value,
    source,
    occurred_at,
    message_id
from ranked
where place = 1 and value <> 'null'
