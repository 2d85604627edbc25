-- Whose messages are those that carry a given set of identifiers. One row per distinct identifiers;
-- profile_id is null where none of them may identify anybody.
{{ config(materialized='view') }}

select
    tuples.identifiers,
    identifiers.profile_id
from {{ ref('tuples') }} as tuples
left join {{ ref('kept') }} as deciding on deciding.arrival = tuples.arrival and deciding.decides
left join {{ ref('identifiers') }} as identifiers on identifiers.identifier = deciding.identifier
