-- Each build of the warehouse: what moment it speaks for and how far it read.
-- One row per build, never rebuilt.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}

{% set started_at = run_started_at.strftime('%Y-%m-%d %H:%M:%S.%f') %}
{% set build_id = this_build_id() %}
{% set as_of = env_var('CDP_AS_OF', '') if execute else '' %}
{# cdp computes it before the build (fingerprint.py). A build by plain dbt leaves it empty: the next
   cdp run then rebuilds. #}
{% set fingerprint = env_var('CDP_RULES_FINGERPRINT', '') if execute else '' %}
{% do refuse_unsafe_build(as_of or started_at, fingerprint) if execute %}

select
    cast('{{ build_id }}' as {{ dbt.type_string() }}) as build_id,
    {{ timestamp_literal(as_of or started_at) }} as as_of,
    cast(
        (select coalesce(max(batch_seq), 0) from {{ source('cdp', 'batches') }})
        as {{ dbt.type_bigint() }}
    ) as through_batch_seq,
    {{ timestamp_literal(started_at) }} as started_at,
    cast('{{ fingerprint }}' as {{ dbt.type_string() }}) as rules_fingerprint,
    cast({{ flags.FULL_REFRESH }} as boolean) as full_refresh
