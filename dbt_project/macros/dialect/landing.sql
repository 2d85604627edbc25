{# Landing reaches the engine: every dbt source becomes a relation over what was landed. Runs before each build. #}

{% macro open_landing() -%}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'retry', 'compile', 'show') %}
        {% do adapter.dispatch('open_landing', 'cdp')() %}
    {% endif %}
{%- endmacro %}

{% macro default__open_landing() %}
    {% do cdp.not_on_this_engine('open_landing') %}
{% endmacro %}

{# DuckDB reads the Parquet in place. Each folder holds an empty _schema.parquet, so the pattern always matches. #}
{% macro duckdb__open_landing() %}
    {% set home = env_var('CDP_HOME', 'data') | replace("'", "''") %}
    {% for name in graph.sources.values() | map(attribute='schema') | unique %}
        {% do run_query('create schema if not exists ' ~ name) %}
    {% endfor %}
    {% for node in graph.sources.values() %}
        {% set read %}
            {%- if node.source_name == 'cdp' and node.name == 'batches' -%}
            select batch_id, batch_seq, source, stream, records, errors, landed_at
            from read_json(
                '{{ home }}/landing/*/*/*.json', format = 'newline_delimited',
                columns = {
                    batch_id: 'varchar', batch_seq: 'bigint', source: 'varchar', stream: 'varchar',
                    records: 'bigint', errors: 'bigint', landed_at: 'timestamp'
                }
            )
            where batch_id is not null
            {%- elif node.source_name == 'cdp' and node.name == 'ledger' -%}
            select * from read_parquet('{{ home }}/deliveries/ledger/*/*.parquet', union_by_name = true)
            {%- else -%}
            select * from read_parquet('{{ home }}/landing/{{ node.source_name }}/{{ node.name }}/*.parquet')
            {%- endif -%}
        {% endset %}
        {% do run_query('create or replace view ' ~ node.schema ~ '.' ~ node.identifier ~ ' as ' ~ read) %}
    {% endfor %}
{% endmacro %}

{# What a build leaves behind for readers that do not go through the engine. Runs after each build, whatever became of it. #}

{% macro publish() -%}
    {% if execute and flags.WHICH in ('build', 'run', 'retry') %}
        {% do adapter.dispatch('publish', 'cdp')() %}
    {% endif %}
{%- endmacro %}

{% macro default__publish() %}
{% endmacro %}
