{# Landing reaches the engine: every dbt source becomes a relation over what was landed. Runs before each build. #}

{% macro open_landing() -%}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'retry', 'compile', 'show') %}
        {% do adapter.dispatch('open_landing', 'cdp')() %}
    {% endif %}
{%- endmacro %}

{% macro default__open_landing() %}
    {% do cdp.not_on_this_engine('open_landing') %}
{% endmacro %}

{# DuckDB reads the Parquet in place: what was compacted by the lists of this moment, what lies beyond them by a pattern. Each
   folder holds an empty _schema.parquet, so the pattern always matches. `_read_by` says by which lists, so that files that a
   later compaction replaces stay until a build has read the later list (compaction.py). #}
{% macro duckdb__open_landing() %}
    {% set home = env_var('CDP_HOME', 'data') | replace("'", "''") %}
    {% for name in graph.sources.values() | map(attribute='schema') | unique %}
        {% do run_query('create schema if not exists ' ~ name) %}
    {% endfor %}
    {% set lists = cdp.duckdb_lists(home, 'landing/*/*') + cdp.duckdb_lists(home, 'deliveries/ledger/*') %}
    {% for node in graph.sources.values() %}
        {% if node.source_name == 'cdp' and node.name == 'batches' %}
            {% set read = cdp.duckdb_batches(home, lists) %}
        {% elif node.source_name == 'cdp' and node.name == 'ledger' %}
            {% set read = cdp.duckdb_ledger(home, lists) %}
        {% else %}
            {% set read = cdp.duckdb_records(home, 'landing/' ~ node.source_name ~ '/' ~ node.name, lists) %}
        {% endif %}
        {% do run_query('create or replace view ' ~ node.schema ~ '.' ~ node.identifier ~ ' as ' ~ read) %}
    {% endfor %}
    {% set read_by %}
        select '' as folder, 0 as generation
        {% for list in lists %}
        union all select '{{ list.folder }}', {{ list.generation }}
        {% endfor %}
    {% endset %}
    {% do run_query('create or replace view landing._read_by as ' ~ read_by) %}
{% endmacro %}

{# The lists of compacted files in folders that match: [{folder, generation, through, files: paths without .parquet}]. #}
{% macro duckdb_lists(home, folders) %}
    {% set lists = [] %}
    {% set pattern = "'" ~ home ~ '/' ~ folders ~ "/_compacted.json'" %}
    {% if run_query('select count(*) from glob(' ~ pattern ~ ')').rows[0][0] > 0 %}
        {% set rows = run_query(
            "select folder, generation, through, array_to_string(list_transform(files, lambda file: file.name), ' ') from read_json("
            ~ pattern ~ ", format = 'newline_delimited', columns = {folder: 'varchar', generation: 'bigint', "
            ~ "through: 'bigint', files: 'struct(name varchar)[]'})"
        ).rows %}
        {% for row in rows %}
            {% set files = [] %}
            {% for name in row[3].split(' ') %}
                {% do files.append(home ~ '/' ~ row[0] ~ '/compacted/' ~ name[:-8]) %}
            {% endfor %}
            {% do lists.append({'folder': row[0], 'generation': row[1] | int, 'through': row[2] | int, 'files': files}) %}
        {% endfor %}
    {% endif %}
    {{ return(lists) }}
{% endmacro %}

{% macro duckdb_records(home, folder, lists) %}
    {% set list = lists | selectattr('folder', 'equalto', folder) | first %}
    {% if list %}
            select * from read_parquet(['{{ list.files | join(".parquet', '") }}.parquet'])
            union all
    {% endif %}
            select * from read_parquet('{{ home }}/{{ folder }}/*.parquet')
    {% if list %}
            where _batch_seq > {{ list.through }}
    {% endif %}
{% endmacro %}

{% macro duckdb_batches(home, lists) %}
    {% set files, through = [], [] %}
    {% for list in lists if list.folder.startswith('landing/') %}
        {% do files.extend(list.files) %}
        {% do through.append("when '" ~ list.folder ~ "' then " ~ list.through) %}
    {% endfor %}
    {% set columns %}
        format = 'newline_delimited', columns = {
            batch_id: 'varchar', batch_seq: 'bigint', source: 'varchar', stream: 'varchar',
            records: 'bigint', errors: 'bigint', landed_at: 'timestamp'
        }
    {% endset %}
            select batch_id, batch_seq, source, stream, records, errors, landed_at
            from read_json('{{ home }}/landing/*/*/*.json', {{ columns }})
            where batch_id is not null
    {% if files %}
                and batch_seq > case 'landing/' || source || '/' || stream {{ through | join(' ') }} else 0 end
            union all
            select batch_id, batch_seq, source, stream, records, errors, landed_at
            from read_json(['{{ files | join(".json', '") }}.json'], {{ columns }})
    {% endif %}
{% endmacro %}

{% macro duckdb_ledger(home, lists) %}
    {% set files, through = [], [] %}
    {% for list in lists if list.folder.startswith('deliveries/') %}
        {% do files.extend(list.files) %}
        {% do through.append("when '" ~ list.folder.split('/')[2] ~ "' then " ~ list.through) %}
    {% endfor %}
            select * from read_parquet('{{ home }}/deliveries/ledger/*/*.parquet', union_by_name = true)
    {% if files %}
            where ledger_no > case sync {{ through | join(' ') }} else 0 end
            union all by name
            select * from read_parquet(['{{ files | join(".parquet', '") }}.parquet'], union_by_name = true)
    {% endif %}
{% endmacro %}

{# What a build leaves behind for readers that do not go through the engine. Runs after each build, whatever became of it. #}

{% macro publish() -%}
    {% if execute and flags.WHICH in ('build', 'run', 'retry') %}
        {% do adapter.dispatch('publish', 'cdp')() %}
    {% endif %}
{%- endmacro %}

{% macro default__publish() %}
{% endmacro %}
