-- Whose messages are those that carry a given set of identifiers. One row per distinct identifiers,
-- and per message of an update_only source, which counts by itself; profile_id is null where they
-- are nobody's. The macro owner_key says by which of them a message is looked up.
{{ config(materialized='view') }}

select
    identifier_sets.identifiers,
    identifiers.profile_id
from {{ ref('identifier_sets') }} as identifier_sets
left join {{ ref('kept') }} as deciding
    on
        deciding.arrival = identifier_sets.arrival
        and deciding.decides
left join {{ ref('identifiers') }} as identifiers on identifiers.identifier = deciding.identifier
{% if sources_under('update_only') -%}
union all
select
    {{ attachment_key('attachments.arrival') }} as identifiers,
    identifiers.profile_id
from {{ ref('attachments') }} as attachments
left join {{ ref('identifiers') }} as identifiers
    on identifiers.identifier = attachments.identifier
{%- endif %}
