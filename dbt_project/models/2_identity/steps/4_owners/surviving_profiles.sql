-- Who is one person in the end. One row per founded profile (node) that was absorbed, with the surviving one (root).
{{ config(materialized='connected_components') }}

select distinct
    0 as instance,
    a,
    b
from {{ ref('profile_links') }}
