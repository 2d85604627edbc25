-- The identifiers that messages had to drop, so that no merge broke a rule. One row per (tuple, identifier).
{{ config(materialized='merge_protection', holdings='holdings', decisions='overrides') }}
-- depends_on: {{ ref('holdings') }}
-- depends_on: {{ ref('overrides') }}

select
    arrival,
    identifier,
    stands_with,
    node,
    drop_order
from {{ ref('contested') }}
