-- What messages say of the devices they came from, read once when they come. One row per message
-- with a device (sighting is its arrival), and one (sighting 0) that says how far was read.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='sighting'
) }}

{% set fields = {
    'id': ['device', 'id'], 'advertising_id': ['device', 'advertisingId'],
    'push_token': ['device', 'token'], 'type': ['device', 'type'],
    'manufacturer': ['device', 'manufacturer'], 'model': ['device', 'model'],
    'is_tracked': ['device', 'adTrackingEnabled'],
} %}

with arrived as (
    select
        messages.arrival,
        {{ owner_key('messages') }} as owner_key,
        messages.occurred_at,
        messages.context
    from {{ ref('messages') }} as messages
    {% if is_incremental() %}
    where messages.arrival > (select coalesce(max(seen.arrival), -1) from {{ this }} as seen)
    {% endif %}
),

contexts as (
    select
        arrival,
        owner_key,
        occurred_at,
        {{ as_document('context') }} as document
    from arrived
    where context like '%"device"%'
),

said as (
    {{ with_json_fields('contexts', 'document', fields) }}
),

devices as (
    select
        arrival,
        owner_key,
        occurred_at,
        {% for field in fields if field != 'is_tracked' -%}
        case
            when {{ field }} not like '{' || '%' and {{ field }} not like '[%'
                then {{ not_blank(field) }}
        end as {{ field }},
        {% endfor -%}
        case lower(is_tracked) when 'true' then true when 'false' then false end as is_tracked
    from said
)

select
    arrival as sighting,
    arrival,
    owner_key,
    occurred_at,
    coalesce(id, advertising_id, push_token) as device,
    id as device_id,
    advertising_id,
    push_token,
    lower(type) as type,
    manufacturer,
    model,
    is_tracked
from devices
where coalesce(id, advertising_id, push_token) is not null
union all
select
    cast(0 as {{ dbt.type_bigint() }}) as sighting,
    newest.arrival,
    cast(null as {{ dbt.type_string() }}) as owner_key,
    cast(null as {{ dbt.type_timestamp() }}) as occurred_at,
    {% for column in [
        'device', 'device_id', 'advertising_id', 'push_token', 'type', 'manufacturer', 'model'
    ] -%}
    cast(null as {{ dbt.type_string() }}) as {{ column }},
    {% endfor -%}
    cast(null as {{ dbt.type_boolean() }}) as is_tracked
from (select max(arrived.arrival) as arrival from arrived) as newest
where newest.arrival is not null
