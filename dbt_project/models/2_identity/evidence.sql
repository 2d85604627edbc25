-- What every message says about who is who, and what became of it: `linked` where the message's
-- person holds the identifier, else the rule that kept it apart. What a protected source says links
-- nothing: it is `attached` where the message's person holds it, whoever said so. One row per
-- (message, identifier). A view: ask it about one person.
{{ config(materialized='view') }}

with attributed as (
    select
        messages.message_id,
        messages.arrival,
        messages.source,
        messages.occurred_at,
        messages.received_at,
        messages.identifiers,
        set_owners.profile_id
    from {{ ref('messages') }} as messages
    left join {{ ref('set_owners') }} as set_owners
        on set_owners.identifiers = {{ owner_key('messages') }}
),

entries as (
    {{ explode_identifiers(
        'attributed',
        ['message_id', 'arrival', 'source', 'occurred_at', 'received_at', 'profile_id']
    ) }}
),

spelled as (
    select
        message_id,
        arrival,
        source,
        occurred_at,
        received_at,
        profile_id,
        identifier_type,
        {{ spelled_identifier(
            'identifier_type', 'value_as_given', plain='is_plain',
        ) }} as identifier_value
    from entries
)

select
    spelled.message_id,
    spelled.arrival,
    spelled.source,
    spelled.occurred_at,
    spelled.received_at,
    spelled.profile_id,
    spelled.identifier_type,
    spelled.identifier_value,
    holders.profile_id as held_by,
    coalesce(
        {{ blocking_rule('spelled.identifier_type', 'spelled.identifier_value') }},
        {% if sources_under('read_only') -%}
        case when {{ is_under('read_only', 'spelled.source') }} then 'read_only' end,
        {% endif -%}
        {% if sources_under('update_only') -%}
        case
            when not {{ is_under('update_only', 'spelled.source') }} then null
            when spelled.profile_id is null then 'update_only_no_match'
            when holders.profile_id = spelled.profile_id then 'attached'
            else 'update_only'
        end,
        {% endif -%}
        case when holders.profile_id = spelled.profile_id then 'linked' else 'merge_protection' end
    ) as outcome
from spelled
left join {{ ref('identifiers') }} as holders
    on
        holders.identifier_type = spelled.identifier_type
        and holders.identifier_value = spelled.identifier_value
