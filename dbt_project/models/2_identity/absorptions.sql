-- When each absorbed profile lost its independence, to whom, and through which identifier.
-- One row per absorbed founding arrival.
{{ config(materialized='merge_order') }}

select
    coalesce(components.root, unions.a) as instance,
    unions.a,
    unions.b,
    unions.arrival,
    unions.a_strength,
    unions.b_strength
from {{ ref('unions') }} as unions
left join {{ ref('components') }} as components on components.node = unions.a
