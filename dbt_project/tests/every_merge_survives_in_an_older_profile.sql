-- The oldest profile survives a merge. A row here is a merge into a younger one.
{{ config(group='identity') }}

select absorptions.founded_at
from {{ ref('absorptions') }} as absorptions
where absorptions.absorbed_by >= absorptions.founded_at
