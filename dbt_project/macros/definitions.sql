{# A model whose definition changed is made from the beginning, once, while the others add to their
   rows. `cdp run` finds out which (project/definitions.py) and says so in CDP_RECOMPUTED: a list of
   the models that are made anew, with all that follow from them; CDP_FINGERPRINTS: {model:
   fingerprint}, what staging.definitions is to hold of each. A dbt that is started by hand has
   neither. #}

{# dbt asks this for is_incremental(), and in its materializations. #}
{% macro should_full_refresh() -%}
    {%- set fixed = config.get('full_refresh') -%}
    {{ return(
        fixed if fixed is not none else flags.FULL_REFRESH or model.name in cdp.recomputed()
    ) }}
{%- endmacro %}

{% macro recomputed() -%}
    {{ return(fromjson(env_var('CDP_RECOMPUTED', '[]')) if execute else []) }}
{%- endmacro %}

{# Whether any of the models that a node reads is made anew in this build. #}
{% macro reads_recomputed(node) -%}
    {%- set read = [] -%}
    {%- for name in node.depends_on.nodes -%}
        {%- do read.append(name.split('.')[-1]) -%}
    {%- endfor -%}
    {{ return(read | select('in', cdp.recomputed()) | list | length > 0) }}
{%- endmacro %}

{% macro definitions_relation() -%}
    {{ return(api.Relation.create(
        database=target.database, schema='staging', identifier='definitions'
    )) }}
{%- endmacro %}

{# Stands in staging.definitions while everything is being made from the beginning. #}
{% macro half_made() -%}
    {{ return('(full refresh)') }}
{%- endmacro %}

{# Before the first model: from here on those that are made anew count as not made, and everything
   does in a full refresh, until staging and identity are there again. #}
{% macro forget_definitions() -%}
{%- if execute and flags.WHICH in ('build', 'run', 'retry') -%}
    {%- set due = fromjson(env_var('CDP_FINGERPRINTS', '{}')) | list -%}
    {%- if due -%}
        {%- set relation = cdp.definitions_relation() -%}
        {%- if not adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
            {%- call statement('create', auto_begin=true) -%}
create table {{ relation }} (
    model_name {{ dbt.type_string() }},
    fingerprint {{ dbt.type_string() }},
    build_id {{ dbt.type_string() }}
)
            {%- endcall -%}
        {%- else -%}
            {%- call statement('forget', auto_begin=true) -%}
delete from {{ relation }} where model_name in ({{ cdp.string_literals(due + [cdp.half_made()]) }})
            {%- endcall -%}
        {%- endif -%}
        {%- if flags.FULL_REFRESH -%}
            {%- call statement('begin', auto_begin=true) -%}
insert into {{ relation }} (model_name, fingerprint, build_id)
values ('{{ cdp.half_made() }}', '', '{{ cdp.this_build_id() }}')
            {%- endcall -%}
        {%- endif -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endif -%}
{%- endmacro %}

{# At dbt's end: a full refresh has come to its end for staging and identity, which only add from
   here on. One that dies, or fails there, leaves its mark, and the next `cdp run` begins again. #}
{% macro full_refresh_ended(results) -%}
{%- if execute and flags.FULL_REFRESH and flags.WHICH in ('build', 'run', 'retry')
    and fromjson(env_var('CDP_FINGERPRINTS', '{}')) -%}
    {%- set missing = [] -%}
    {%- for result in results
        if result.node.resource_type == 'model' and result.status != 'success'
        and ('1_staging' in result.node.fqn or '2_identity' in result.node.fqn) -%}
        {%- do missing.append(result.node.name) -%}
    {%- endfor -%}
    {%- if not missing -%}
        {%- call statement('ended', auto_begin=true) -%}
delete from {{ cdp.definitions_relation() }} where model_name = '{{ cdp.half_made() }}'
        {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endif -%}
{%- endmacro %}

{# A hook of every model, in the transaction that makes it. What dbt made by hand counts as not
   made: nobody knows by which definition. #}
{% macro remember_definition() -%}
{%- if execute -%}
    {%- set due = env_var('CDP_FINGERPRINTS', '') -%}
    {%- set relation = cdp.definitions_relation() -%}
    {%- if due -%}
        {%- set fingerprint = fromjson(due).get(model.name) -%}
        {%- if fingerprint -%}
insert into {{ relation }} (model_name, fingerprint, build_id)
values ('{{ model.name }}', '{{ fingerprint }}', '{{ cdp.this_build_id() }}')
        {%- endif -%}
    {%- elif model.config.materialized == 'incremental'
        and adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
delete from {{ relation }} where model_name = '{{ model.name }}'
    {%- endif -%}
{%- endif -%}
{%- endmacro %}
