-- Every message with the person it belongs to now. One row per message; profile_id is null where
-- nobody is known. A build adds new messages and rewrites those whose person changed
-- (known by their arrival, a number: comparing ids would take a build longer than writing them).
{{ config(
    materialized='incremental', unique_key='arrival',
    incremental_strategy='recorded' if attributes_are_kept() else 'delete+insert',
    post_hook='{{ record_whole_write() }}'
) }}
-- depends_on: {{ ref('touched') }}
-- depends_on: {{ ref('merges') }}

{% set properties = catalogue_properties() %}
{% set typed_columns = [] %}
{% for name, property in properties.items() %}
{% do typed_columns.append(
    'cast(typed_' ~ loop.index ~ ' as ' ~ property_types()[property['type']] ~ ') as '
    ~ column_name(name)
) %}
{% endfor %}

with owned as (
    select
        messages.message_id,
        set_owners.profile_id,
        messages.type,
        messages.event_name,
        messages.occurred_at,
        messages.received_at,
        messages.source,
        messages.properties,
        messages.arrival
    from {{ ref('messages') }} as messages
    left join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ owner_key('messages') }}
    {% if is_incremental() %}
    -- New messages, and those of people who were absorbed or split, or who were nobody.
    where
        messages.arrival > (select coalesce(max(written.arrival), -1) from {{ this }} as written)
        or messages.arrival in (
            {{ arrivals_of_moved_people(this) }}
        )
    {% endif %}
){% if properties %},

typed as (
    {{ with_typed_properties('owned', 'properties', properties) }}
){% endif %}

select
    message_id,
    profile_id,
    type,
    event_name,
    occurred_at,
    received_at,
    source,
    properties,
    arrival,
    -- What is of another type than the catalogue says, for wrong_types: a JSON array of faults.
    {% if properties -%}
    nullif(
        '[' || {{ wrong_types(properties, amounts_are_judged(), judged_amounts()) }} || ']', '[]'
    )
    {%- else -%}
    cast(null as {{ dbt.type_string() }})
    {%- endif %} as wrong_types{{ ',' if typed_columns }}
    {{ typed_columns | join(',\n    ') }}
from {{ 'typed' if properties else 'owned' }}
