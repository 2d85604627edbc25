{# Faults that are found after staging, and the landed records that they stand in. #}

{# {arrival, after, through}: faults of messages up to `arrival` are written already; the others
   are of batches with after < batch_seq <= through. `told`: queries of the arrivals with faults. #}
{% macro fault_window(told) -%}
    {%- if not cdp.is_built('messages') -%}
        {{ return({'arrival': -1, 'after': -1, 'through': 9223372036854775807}) }}
    {%- endif -%}
    {%- set arrival = cdp.scalar(
        'select coalesce(max(arrival), -1) as last_arrival from ' ~ this
    ) if is_incremental() else -1 -%}
    {%- set found = run_query(
        'select min(batch_seq) - 1 as after_batch_seq, max(batch_seq) as through_batch_seq from '
        ~ cdp.as_built('messages') ~ ' where arrival in (select told.arrival from ('
        ~ told | join(' union all ') ~ ') as told where told.arrival > ' ~ arrival ~ ')'
    ).rows[0] -%}
    {%- set after, through = found[0], found[1] -%}
    {{ return({
        'arrival': arrival,
        'after': after if after is not none else 0,
        'through': through if through is not none else 0,
    }) }}
{%- endmacro %}

{# {(source, stream): relation} of the landed streams that become messages. #}
{% macro landed_streams() -%}
    {%- set relations, read = {}, cdp.read_streams() -%}
    {%- if execute -%}
        {%- for node in graph.sources.values() if [node.source_name, node.name] in read -%}
            {%- do relations.update({(node.source_name, node.name): api.Relation.create(
                database=node.database, schema=node.schema, identifier=node.identifier
            )}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(relations) }}
{%- endmacro %}

{# The landed records of these streams in the batches of a window. #}
{% macro landed_records(streams, window) -%}
{% for relation in streams.values() -%}
select
    _batch_id as batch_id,
    _record_no as record_no,
    _file as file,
    _payload as payload
from {{ relation }}
where _batch_seq > {{ window.after }} and _batch_seq <= {{ window.through }}
{% if not loop.last %}union all
{% endif %}
{%- else -%}
select
    cast(null as {{ dbt.type_string() }}) as batch_id,
    cast(null as {{ dbt.type_bigint() }}) as record_no,
    cast(null as {{ dbt.type_string() }}) as file,
    cast(null as {{ dbt.type_string() }}) as payload
from (select 1 as nothing) as nothing
where 1 = 0
{%- endfor %}
{%- endmacro %}
