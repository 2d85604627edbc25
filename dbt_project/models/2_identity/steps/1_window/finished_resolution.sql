-- The last resolution that reached its end; the next one starts where it stopped. One row.
{{ config(post_hook=after_commit('{{ written_out() }}')) }}
-- depends_on: {{ ref('identifiers') }}
-- depends_on: {{ ref('merges') }}
-- depends_on: {{ ref('refusals') }}
-- depends_on: {{ ref('kept') }}
{% if sources_under('update_only') -%}
-- depends_on: {{ ref('attachments') }}
{%- endif %}
select
    resolution_no,
    after_arrival,
    signature,
    through_arrival
from {{ ref('current_resolution') }}
