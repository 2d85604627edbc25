-- What identify messages say of people, trait by trait, under the catalogue's names: their JSON is
-- taken apart once, when they come. A write without a value removes the trait. A value of another
-- type than the catalogue's is no write (is_wrong_type). One row per write or wrong value.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='arrival') }}

{% set told = ['message_id', 'arrival', 'owner_key', 'source', 'occurred_at', 'behind'] %}
{% set times = traits_with('type', ['date', 'timestamp']) %}
{% set objects_by_depth = trait_objects() %}

with identifies as (
    select
        messages.message_id,
        messages.arrival,
        {{ owner_key('messages') }} as owner_key,
        messages.source,
        messages.occurred_at,
        messages.traits,
        messages.context_traits
    from {{ ref('messages') }} as messages
    where
        messages.type = 'identify'
    {% if is_incremental() %}
        and messages.arrival > (
            select coalesce(max(written.arrival), -1)
            from {{ this }} as written
        )
    {% endif %}
),

-- A key in traits wins over the same in context.traits.
objects as (
    select
        message_id,
        arrival,
        owner_key,
        source,
        occurred_at,
        0 as behind,
        traits as entries
    from identifies
    where traits is not null
    union all
    select
        message_id,
        arrival,
        owner_key,
        source,
        occurred_at,
        1 as behind,
        context_traits as entries
    from identifies
    where context_traits is not null and {{ json_kind('context_traits') }} = 'object'
),

entries as (
    {{ explode_object('objects', told, 'entries') }}
),

depth_0 as (
    select
        {{ told | join(', ') }},
        entry_key as path,
        entry_value as value
    from entries
),

-- What the catalogue reads out of objects, one depth after the other; an object that is null says
-- so of all that is in it.
{% for objects in objects_by_depth -%}
{% set inner = objects.values() | sum(start=[]) | unique | list %}
{% set deeper = (objects_by_depth[loop.index] if not loop.last else {}) | list %}
object_{{ loop.index }} as (
    select
        {{ told | join(', ') }},
        path as object_path,
        value as entries
    from depth_{{ loop.index0 }}
    where path in ({{ string_literals(objects) }}) and value like '{' || '%'
),

in_object_{{ loop.index }} as (
    {{ explode_object('object_' ~ loop.index, told + ['object_path'], 'entries') }}
),

depth_{{ loop.index }} as (
    select
        {{ told | join(', ') }},
        object_path || '.' || entry_key as path,
        entry_value as value
    from in_object_{{ loop.index }}
    where object_path || '.' || entry_key in ({{ string_literals(inner + deeper) }})
),

{% endfor -%}
paths as (
    {% for depth in range(objects_by_depth | length + 1) -%}
    {% set outer = loop.index0 %}
    select
        {{ told | join(', ') }},
        path,
        value
    from depth_{{ depth }}
    {% if depth > 0 -%}
    where path in ({{ string_literals(objects_by_depth[depth - 1].values() | sum(start=[])) }})
    {% endif -%}
    {% for object, inner in (objects_by_depth[depth] if not loop.last else {}).items() -%}
    {% for path in inner -%}
    union all
    select
        {{ told | join(', ') }},
        {{ text_literal(path) }} as path,
        value
    from depth_{{ outer }}
    where path = {{ text_literal(object) }} and value = 'null'
    {% endfor -%}
    {% endfor -%}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

named as (
    select
        {{ told | join(', ') }},
        path,
        {{ trait_of('path') }} as trait,
        {{ place_of_path('path') }} as place_of_path,
        value,
        {{ said_text('value') }} as said
    from paths
),

timed as (
    {% if times -%}
    {{ with_times(
        'named', {'moment': 'case when ' ~ trait_is_in('trait', times) ~ ' then said end'}
    ) }}
    {%- else -%}
    select * from named
    {%- endif %}
),

typed as (
    select
        *,
        {{ removes_trait('trait', 'value', 'said') }} as removes,
        {{ typed_trait('trait', 'value', 'said', 'moment') }} as typed_value
    from timed
),

judged as (
    select
        *,
        not removes
        and typed_value is null
        and {{ trait_is_in('trait', catalogue_traits() | list) }} as is_wrong_type
    from typed
    -- A blank says nothing, unless that it is there is all that counts.
    where
        removes
        or said is not null
        or value like '{' || '%'
        or value like '[%'
        or {{ trait_is_in('trait', traits_with('type', ['tag'])) }}
),

-- Of what one message says of a trait the first that is a value counts; each wrong one is told.
ranked as (
    select
        *,
        row_number() over (
            partition by
                arrival,
                trait,
                case when is_wrong_type then behind end,
                case when is_wrong_type then path end
            order by behind, case when removes then 1 else 0 end, place_of_path, path, value
        ) as place
    from judged
)

select
    message_id,
    arrival,
    owner_key,
    source,
    occurred_at,
    trait,
    case when behind = 1 then 'context.' else '' end || 'traits.' || path as field,
    case when not removes then value end as value,
    case when not removes then typed_value end as typed_value,
    is_wrong_type
from ranked
where place = 1
