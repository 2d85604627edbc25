-- Identifiers that a rule kept from linking, at the first message that met the rule. Protection is
-- such a rule: read_only; update_only_no_match where a message named nobody at its arrival; and
-- update_only where it named somebody by another identifier, and nobody held this one.
-- One row per (identifier_type, identifier_value, rule).
{{ config(
    materialized='incremental', incremental_strategy='append', pre_hook='{{ start_over() }}'
) }}

with {% if protected_sources() -%}
said as (
    select
        messages.identifiers,
        case
            {% if sources_under('read_only') -%}
            when {{ is_under('read_only', 'messages.source') }} then 'read_only'
            {% endif -%}
            {% if sources_under('update_only') -%}
            when attachments.identifier is not null then 'update_only'
            {% endif -%}
            else 'update_only_no_match'
        end as rule,
        messages.arrival
    from {{ ref('messages') }} as messages
    {% if sources_under('update_only') -%}
    left join {{ ref('attachments') }} as attachments on attachments.arrival = messages.arrival
    {% endif -%}
    where
        messages.arrival > {{ after_arrival() }}
        and {{ is_protected('messages.source') }}
),

said_sets as (
    select
        identifiers,
        rule,
        min(arrival) as arrival
    from said
    group by identifiers, rule
),

said_members as (
    {{ usable_members('said_sets', ['rule', 'arrival']) }}
),

placed as (
    select
        kept.identifier,
        min(kept.arrival) as placed_at
    from {{ ref('kept') }} as kept
    where
        kept.identifier in (
            select said_members.identifier
            from said_members
            where said_members.rule = 'update_only'
        )
    group by kept.identifier
),

{% endif -%}
met as (
    select
        identifier,
        identifier_type,
        identifier_value,
        blocking_rule as rule,
        first_arrival as arrival
    from {{ ref('met_identifiers') }}
    where blocking_rule is not null
    union all
    select
        dropped_links.identifier,
        identifiers.identifier_type,
        identifiers.identifier_value,
        dropped_links.rule,
        min(dropped_links.arrival) as arrival
    from {{ ref('dropped_links') }} as dropped_links
    inner join {{ ref('met_identifiers') }} as identifiers
        on identifiers.identifier = dropped_links.identifier
    where not identifiers.is_handle
    group by
        dropped_links.identifier, identifiers.identifier_type, identifiers.identifier_value,
        dropped_links.rule
    {% if protected_sources() -%}
    union all
    select
        said_members.identifier,
        said_members.identifier_type,
        said_members.identifier_value,
        said_members.rule,
        min(said_members.arrival) as arrival
    from said_members
    left join placed
        on
            placed.identifier = said_members.identifier
            and placed.placed_at < said_members.arrival
            and said_members.rule = 'update_only'
    where placed.identifier is null
    group by
        said_members.identifier, said_members.identifier_type, said_members.identifier_value,
        said_members.rule
    {% endif -%}
)

select
    messages.message_id,
    met.identifier_type,
    met.identifier_value,
    met.rule
from met
inner join {{ ref('messages') }} as messages
    on messages.arrival = met.arrival and messages.arrival > {{ after_arrival() }}
{% if is_incremental() %}
left join {{ this }} as known
    on
        known.identifier_type = met.identifier_type
        and known.identifier_value = met.identifier_value
        and known.rule = met.rule
where known.rule is null
{% endif %}
