-- The last resolution that reached its end; the next one starts where it stopped. One row.
-- depends_on: {{ ref('identifiers') }}
-- depends_on: {{ ref('merges') }}
-- depends_on: {{ ref('refusals') }}
-- depends_on: {{ ref('deciders') }}
select
    resolution_no,
    after_arrival,
    signature,
    through_arrival
from {{ ref('resolution') }}
