{# What people allow. #}

{# A relation of the profiles that granted a purpose, with the message that did: join it to hold back everybody else. #}
{% macro consented(regulation, purpose) -%}
(
    select
        consents.profile_id,
        consents.message_id
    from {{ ref('consents') }} as consents
    where consents.regulation = '{{ regulation }}' and consents.purpose = '{{ purpose }}' and consents.state = 'granted'
)
{%- endmacro %}

{# The latest word of each person on each purpose, as a relation without brackets; of two at the
   same moment, the denial. `until` (an SQL expression): as it was then. #}
{% macro stated_consents(until=none) -%}
{%- set stated -%}
(
    select
        messages.message_id,
        messages.occurred_at,
        messages.arrival,
        messages.consent,
        set_owners.profile_id
    from {{ ref('messages') }} as messages
    inner join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ cdp.owner_key('messages') }}
    where
        messages.consent is not null
        and set_owners.profile_id is not null
        {%- if until %}
        and messages.occurred_at <= {{ until }}
        {%- endif %}
)
{%- endset -%}
select
    profile_id,
    regulation,
    purpose,
    state,
    occurred_at,
    message_id
from (
    select
        *,
        row_number() over (
            partition by profile_id, regulation, purpose
            order by occurred_at desc, case when state = 'granted' then 1 else 0 end, arrival desc
        ) as place
    from (
        select
            profile_id,
            {{ cdp.json_text('item', ['regulation']) }} as regulation,
            {{ cdp.json_text('item', ['purpose']) }} as purpose,
            {{ cdp.json_text('item', ['state']) }} as state,
            occurred_at,
            message_id,
            arrival
        from (
            {{ cdp.explode_array(stated, ['profile_id', 'message_id', 'occurred_at', 'arrival'], 'consent') }}
        ) as entries
    ) as statements
) as ranked
where place = 1
{%- endmacro %}
