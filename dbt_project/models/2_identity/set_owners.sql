-- Whose messages are those that carry a given set of identifiers. One row per distinct identifiers;
-- profile_id is null where none of them may identify anybody.
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
