-- Identifiers that a rule kept from linking, at the first message that met the rule.
-- One row per (identifier_type, identifier_value, rule).
{{ config(
    materialized='incremental', incremental_strategy='append', pre_hook='{{ start_over() }}'
) }}

with met as (
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
