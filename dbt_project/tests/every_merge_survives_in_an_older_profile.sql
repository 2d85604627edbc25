-- The oldest profile survives a merge. A row here is a merge into a younger one.
{{ config(group='identity') }}

select absorptions.node
from {{ ref('absorptions') }} as absorptions
where absorptions.root >= absorptions.node
