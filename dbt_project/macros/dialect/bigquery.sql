{# BigQuery. JSON stays text between models. Never run against a real project: docs/engines.md.

   Times are its TIMESTAMP, whose values are UTC: its DATETIME has no zone, but then nothing says that it is UTC. #}

{% macro bigquery__hash64(expression) -%}
    {%- set digest = 'to_hex(md5(' ~ expression ~ '))' -%}
    ((cast('0x' || {{ cdp.md5_bytes(digest, [7, 6, 5, 4]) }} as int64) << 31)
    | (cast('0x' || {{ cdp.md5_bytes(digest, [3, 2, 1, 0]) }} as int64) >> 1))
{%- endmacro %}

{% macro bigquery__text_literal(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{% macro bigquery__explode_identifiers(relation, keep) -%}
select
    {% for name in keep %}listed.{{ name }}, {% endfor %}
    array_length(json_query_array(listed.identifiers)) as item_count,
    place,
    json_value(entry, '$.type') as identifier_type,
    json_value(entry, '$.value') as value_as_given,
    {{ cdp.identifiers_are_plain('listed.identifiers') }} as is_plain
from {{ relation }} as listed
cross join unnest(json_query_array(listed.identifiers)) as entry with offset as place
{%- endmacro %}

{# json_value reads scalars only, json_query gives JSON text, and the text null for a JSON null. #}
{% macro bigquery__json_text(expression, path) -%}
    coalesce(
        json_value({{ expression }}, '{{ cdp.json_path(path) }}'),
        nullif(json_query({{ expression }}, '{{ cdp.json_path(path) }}'), 'null')
    )
{%- endmacro %}

{% macro bigquery__json_value(expression, path) -%}
    nullif(json_query({{ expression }}, '{{ cdp.json_path(path) }}'), 'null')
{%- endmacro %}

{% macro bigquery__json_scalar(expression) -%}
    {{ cdp.bigquery__json_text(expression, []) }}
{%- endmacro %}

{% macro bigquery__json_kind(expression) -%}
    {%- set parsed = 'safe.parse_json(' ~ expression ~ ", wide_number_mode => 'round')" -%}
    case
        when {{ parsed }} is null then null
        when json_type({{ parsed }}) in ('object', 'array') then json_type({{ parsed }})
        else 'scalar'
    end
{%- endmacro %}

{% macro bigquery__explode_object(relation, keep, column) -%}
select
    {% for name in keep %}objects.{{ name }}, {% endfor %}
    entries.entry_key,
    entries.entry_value
from {{ relation }} as objects
cross join unnest({{ cdp.landing_function('json_entries') }}(objects.{{ column }})) as entries
{%- endmacro %}

{% macro bigquery__explode_array(relation, keep, column) -%}
select
    {% for name in keep %}arrays.{{ name }}, {% endfor %}
    item_no,
    item
from {{ relation }} as arrays
cross join unnest(json_query_array(arrays.{{ column }})) as item with offset as item_no
{%- endmacro %}

{% macro bigquery__any_item(expression, condition) -%}
    exists (
        select 1
        from (
            select json_value(element, '$') as item
            from unnest(json_query_array({{ expression }})) as element
        ) as items
        where {{ condition }}
    )
{%- endmacro %}

{% macro bigquery__item_count(expression) -%}
    array_length(json_query_array({{ expression }}))
{%- endmacro %}

{# to_json_string writes a null as the text null. #}
{% macro bigquery__json_quote(expression) -%}
    case when {{ expression }} is not null then to_json_string(cast({{ expression }} as string)) end
{%- endmacro %}

{% macro bigquery__json_merge(base, overriding) -%}
    coalesce({{ cdp.landing_function('json_merge') }}({{ base }}, {{ overriding }}), {{ overriding }}, {{ base }})
{%- endmacro %}

{# Leaves nulls out. #}
{% macro bigquery__join_parts(parts) -%}
    array_to_string([
        {% for part in parts %}{{ part }}{{ ',\n        ' if not loop.last }}{% endfor %}
    ], ',')
{%- endmacro %}

{% macro bigquery__external_identifiers(expression) -%}
    {{ cdp.landing_function('external_identifiers') }}({{ expression }})
{%- endmacro %}

{% macro bigquery__unreadable_externals(expression) -%}
    coalesce({{ cdp.landing_function('unreadable_externals') }}({{ expression }}) = 'true', false)
{%- endmacro %}

{% macro bigquery__preferences_as_consents(expression, regulation) -%}
    {{ cdp.landing_function('consents') }}({{ expression }}, '{{ regulation }}')
{%- endmacro %}

{% macro bigquery__to_money(expression) -%}
    safe_cast(cast({{ expression }} as string) as numeric(18, 2))
{%- endmacro %}

{% macro bigquery__to_type(expression, type) -%}
    {%- if type == 'bigint' -%}
    safe_cast(round(safe_cast({{ expression }} as bignumeric)) as int64)
    {%- elif type == 'double' -%}
    safe_cast({{ expression }} as float64)
    {%- else -%}
    {{ cdp.boolean_from_text(expression) }}
    {%- endif -%}
{%- endmacro %}

{% macro bigquery__type_double() -%}
    float64
{%- endmacro %}

{# A text without a zone is UTC. #}
{% macro bigquery__moment_of(text) -%}
    safe_cast({{ text }} as timestamp)
{%- endmacro %}

{% macro bigquery__moment_of_epoch(micros) -%}
    timestamp_micros({{ micros }})
{%- endmacro %}

{% macro bigquery__utc_of_local(moment, timezone) -%}
    timestamp(datetime({{ moment }}), '{{ timezone }}')
{%- endmacro %}

{% macro bigquery__minutes_before(moment, minutes) -%}
    timestamp_sub({{ moment }}, interval cast({{ minutes }} as int64) minute)
{%- endmacro %}

{# dbt's dateadd gives a DATETIME here, which compares with no TIMESTAMP. #}
{% macro bigquery__plus(expression, seconds) -%}
    timestamp_add({{ expression }}, interval {{ seconds }} second)
{%- endmacro %}

{% macro bigquery__moved_by(expression, from, to) -%}
    timestamp_add({{ expression }}, interval timestamp_diff({{ to }}, {{ from }}, microsecond) microsecond)
{%- endmacro %}

{# Temporary tables belong to one script here, and a materialization sends many: real ones, which end by themselves. #}
{% macro bigquery__scratch(name) -%}
    {{ return(this.incorporate(path={'identifier': '_' ~ this.identifier ~ '__' ~ name}) | string) }}
{%- endmacro %}

{% macro bigquery__filled(table, sql) -%}
    {{ return([
        'create or replace table ' ~ table
        ~ ' options (expiration_timestamp = timestamp_add(current_timestamp(), interval 1 day)) as ' ~ sql
    ]) }}
{%- endmacro %}

{% macro bigquery__open_landing() %}
    {% do cdp.require_loaded_landing() %}
    {% for name, (arguments, result) in cdp.json_functions().items() %}
        {% do run_query(
            'create or replace function ' ~ cdp.landing_function(name) ~ '(' ~ arguments | join(' string, ')
            ~ ' string) returns string language js as r"""' ~ cdp.json_javascript(result) ~ '"""'
        ) %}
    {% endfor %}
    {% do run_query(
        'create or replace function ' ~ cdp.landing_function('json_entries') ~ '(given string) '
        ~ 'returns array<struct<entry_key string, entry_value string>> language js as r"""'
        ~ cdp.json_javascript('entries(given)') ~ '"""'
    ) %}
{% endmacro %}

{# dbt's own incremental models know merge and insert_overwrite here; ours append, or replace all rows of a key. #}
{% macro dbt_bigquery_validate_get_incremental_strategy(config) -%}
    {%- set strategy = config.get('incremental_strategy') -%}
    {%- if strategy in ('append', 'delete+insert') -%}{{ return(strategy) }}{%- endif -%}
    {{ return(dbt.dbt_bigquery_validate_get_incremental_strategy(config)) }}
{%- endmacro %}

{% macro bq_generate_incremental_build_sql(
    strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists,
    copy_partitions, incremental_predicates
) -%}
    {%- set from = tmp_relation | string if tmp_relation_exists else '(' ~ sql ~ ')' -%}
    {%- if strategy == 'append' -%}
        {%- set names = dest_columns | map(attribute='quoted') | join(', ') -%}
        {{ return('insert into ' ~ target_relation ~ ' (' ~ names ~ ') select ' ~ names ~ ' from ' ~ from ~ ' as added') }}
    {%- elif strategy == 'delete+insert' -%}
        {{ return(cdp.replacing_merge(target_relation, from, unique_key, dest_columns | map(attribute='quoted') | list)) }}
    {%- endif -%}
    {{ return(dbt.bq_generate_incremental_build_sql(
        strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists,
        copy_partitions, incremental_predicates
    )) }}
{%- endmacro %}

{# A contract's `double precision` and `text` as types of this engine (dbt itself translates only text). #}
{% macro bigquery__get_empty_schema_sql(columns) -%}
    {{ return(dbt.bigquery__get_empty_schema_sql(cdp.contract_types(columns, {'double precision': 'float64'}))) }}
{%- endmacro %}

{% macro bigquery__get_table_columns_and_constraints() -%}
    {%- set columns = adapter.render_raw_columns_constraints(
        raw_columns=cdp.contract_types(model['columns'], {'double precision': 'float64'})
    ) -%}
    ({{ columns | join(', ') }})
{%- endmacro %}

{% macro bigquery__remainder(number, by) -%}
    mod({{ number }}, {{ by }})
{%- endmacro %}
