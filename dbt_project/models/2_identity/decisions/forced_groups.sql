-- Identifiers that operators forced together: one row per identifier (node) that is not its group's smallest (root).
{{ config(materialized='connected_components') }}

select
    0 as instance,
    a_identifier as a,
    b_identifier as b
from {{ ref('overrides') }}
where action = 'force'
