-- Identifiers that operators forced together. One row per identifier that is not the smallest of
-- its group.
{{ config(materialized='connected_components', node='identifier', root='group_identifier') }}

select
    0 as instance,
    a_identifier as a,
    b_identifier as b
from {{ ref('overrides') }}
where action = 'force'
