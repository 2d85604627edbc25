{# Spark 4 and later, in plain SQL: no functions of our own, so that a server or Databricks (whose adapter takes these bodies)
   runs it, too. Every build is a full one, as Parquet tables cannot be changed in place. docs/spark.md. #}

{# Expressions have no variables; a list of one does. #}
{% macro spark_let(name, expression, body) -%}
    transform(array({{ expression }}), {{ name }} -> {{ body }})[0]
{%- endmacro %}

{# DuckDB reads the first eight bytes of the md5 the other way round. #}
{% macro spark__hash64(expression) -%}
    shiftrightunsigned(cast(conv(regexp_replace(
        substr(md5({{ expression }}), 1, 16), '(..)(..)(..)(..)(..)(..)(..)(..)', '$8$7$6$5$4$3$2$1'
    ), 16, -10) as bigint), 1)
{%- endmacro %}

{% macro spark__explode_identifiers(relation, keep) -%}
select
    {% for name in keep %}given.{{ name }}, {% endfor %}
    size(parsed.entries) as item_count,
    exploded.place,
    exploded.entry.type as identifier_type,
    exploded.entry.value as value_as_given,
    {{ cdp.identifiers_are_plain('given.identifiers') }} as is_plain
from {{ relation }} as given
lateral view explode(array(from_json(given.identifiers, 'array<struct<type: string, value: string>>'))) parsed as entries
lateral view posexplode(parsed.entries) exploded as place, entry
{%- endmacro %}

{# A canonical copy: without spaces between its tokens, with escapes resolved. #}
{% macro spark__landed_document() -%}
    case when _error is null then get_json_object(_payload, '$') end
{%- endmacro %}

{# One parse per record for the top-level fields; deeper ones are read out of those. A text loses its quotes on the way; a second
   reading tells which were texts, where that counts. #}
{% macro spark__with_json_fields(source_sql, column, fields, raw) -%}
{%- set tops = [] -%}
{%- for path in fields.values() if path[0] not in tops -%}{%- do tops.append(path[0]) -%}{%- endfor -%}
select
    records.*,
    {% for name, path in fields.items() -%}
    {% set top = 'document_fields.`' ~ path[0] ~ '`' -%}
    {% set text = cdp.json_text(top, path[1:]) if path | length > 1 else top -%}
    {{ cdp.spark_raw(text, 'document_values', path) if name in raw else text }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as records
lateral view explode(array(from_json(
    case when records.{{ column }} like '{' || '%' then records.{{ column }} end,
    '{% for top in tops %}`{{ top }}` string{{ ', ' if not loop.last }}{% endfor %}'
))) parsed as document_fields
{%- if raw %}
lateral view explode(array(try_parse_json(records.{{ column }}))) typed as document_values
{%- endif %}
{%- endmacro %}

{# JSON text of the value at a path: its text without quotes, and the document as a variant, which knows what it is. #}
{% macro spark_raw(text, typed, path) -%}
    nullif({{ cdp.spark_json_value(text, 'try_variant_get(' ~ typed ~ ", '$." ~ path | join('.') ~ "', 'variant')") }}, 'null')
{%- endmacro %}

{% macro spark__json_value(expression, path) -%}
    {{ cdp.spark_raw(cdp.json_text(expression, path), 'try_parse_json(' ~ expression ~ ')', path) }}
{%- endmacro %}

{% macro spark__json_text(expression, path) -%}
    get_json_object({{ expression }}, '$
    {%- for key in path -%}
        {%- if key is number -%}[{{ key }}]
        {%- elif modules.re.match('^[A-Za-z_][A-Za-z0-9_]*$', key) -%}.{{ key }}
        {%- else -%}[\'{{ key }}\']
        {%- endif -%}
    {%- endfor -%}
    ')
{%- endmacro %}

{% macro spark__json_scalar(expression) -%}
    get_json_object({{ expression }}, '$')
{%- endmacro %}

{# Spark reads the first value of a text and takes no notice of what follows it, so the text must be the whole of a list. #}
{% macro spark__json_kind(expression) -%}
    case
        when
            {{ expression }} is null or trim({{ expression }}) = ''
            or size(from_json('[' || {{ expression }} || ']', 'array<string>', map('allowSingleQuotes', 'false'))) <> 1
            then null
        when {{ expression }} rlike '(?s)^\\s*[{].*[}]\\s*$' then 'object'
        when {{ expression }} rlike '(?s)^\\s*\\[.*\\]\\s*$' then 'array'
        else 'scalar'
    end
{%- endmacro %}

{# The entries of a JSON object as a list of (name, value), and the elements of an array; a value is JSON text. A string loses its
   quotes on the way into a list of texts; the second reading tells which were strings. #}
{% macro spark_entries(expression) -%}
    zip_with(
        map_entries(from_json({{ expression }}, 'map<string, string>')),
        map_entries(from_json({{ expression }}, 'map<string, variant>')),
        (plain, typed) -> named_struct('name', plain.key, 'value', {{ cdp.spark_json_value('plain.value', 'typed.value') }})
    )
{%- endmacro %}

{% macro spark_elements(expression) -%}
    zip_with(
        from_json({{ expression }}, 'array<string>'),
        from_json({{ expression }}, 'array<variant>'),
        (plain, typed) -> {{ cdp.spark_json_value('plain', 'typed') }}
    )
{%- endmacro %}

{% macro spark_json_value(plain, typed) -%}
    case
        when {{ plain }} is null then 'null'
        when schema_of_variant({{ typed }}) = 'STRING' then {{ cdp.json_quote(plain) }}
        else {{ plain }}
    end
{%- endmacro %}

{% macro spark__explode_object(relation, keep, column) -%}
select
    {% for name in keep %}given.{{ name }}, {% endfor %}
    keyed.entry.name as entry_key,
    keyed.entry.value as entry_value
from {{ relation }} as given
lateral view explode({{ cdp.spark_entries('given.' ~ column) }}) keyed as entry
{%- endmacro %}

{% macro spark__explode_array(relation, keep, column) -%}
select
    {% for name in keep %}given.{{ name }}, {% endfor %}
    listed.item_no,
    listed.item
from {{ relation }} as given
lateral view posexplode({{ cdp.spark_elements('given.' ~ column) }}) listed as item_no, item
{%- endmacro %}

{% macro spark__any_item(expression, condition) -%}
    exists(from_json({{ expression }}, 'array<string>'), item -> {{ condition }})
{%- endmacro %}

{% macro spark__item_count(expression) -%}
    json_array_length({{ expression }})
{%- endmacro %}

{% macro spark__json_quote(expression) -%}
    case when {{ expression }} is not null then regexp_replace(to_json(array({{ expression }})), '^\\[|\\]$', '') end
{%- endmacro %}

{# RFC 7396, in the order of DuckDB's json_merge_patch: what the base alone has, then what the patch sets. #}
{% macro spark__json_merge(base, overriding) -%}
    case
        when {{ base }} is null or {{ overriding }} is null then coalesce({{ overriding }}, {{ base }})
        when {{ cdp.json_kind(base) }} = 'object' and {{ cdp.json_kind(overriding) }} = 'object'
            then {{ cdp.spark_patch(base, overriding, 1) }}
        else {{ overriding }}
    end
{%- endmacro %}

{# One level of it: `both` holds the entries of either side. SQL cannot call itself, so objects that both sides nest deeper
   than three levels stop the build. #}
{% macro spark_patch(base, patch, level) -%}
    {%- set both, entry = 'both_' ~ level, 'entry_' ~ level -%}
    {%- set before = "filter(" ~ both ~ ".old, other -> other.name = " ~ entry ~ ".name)[0].value" -%}
    {%- set laid -%}
        case
            when {{ entry }}.value not like '{' || '%' then {{ entry }}.value
            {% if level < 3 -%}
            else {{ cdp.spark_patch(before, entry ~ '.value', level + 1) }}
            {%- else -%}
            when coalesce({{ before }}, '') not like '{' || '%' then {{ entry }}.value
            else raise_error('On Spark, JSON objects that are nested deeper than three levels cannot be merged.')
            {%- endif %}
        end
    {%- endset -%}
    {%- set put_together -%}
        '{' || array_join(concat(
            transform(
                filter({{ both }}.old, kept -> not exists({{ both }}.new, other -> other.name = kept.name)),
                kept -> {{ cdp.json_quote('kept.name') }} || ':' || kept.value
            ),
            transform(
                filter({{ both }}.new, laid -> laid.value <> 'null'),
                {{ entry }} -> {{ cdp.json_quote(entry ~ '.name') }} || ':' || {{ laid }}
            )
        ), ',') || '}'
    {%- endset -%}
    {%- set nothing = "array_repeat(named_struct('name', '', 'value', ''), 0)" -%}
    {{ cdp.spark_let(
        both,
        "named_struct('old', coalesce(" ~ cdp.spark_entries(base) ~ ", " ~ nothing ~ "), 'new', " ~ cdp.spark_entries(patch) ~ ")",
        put_together
    ) }}
{%- endmacro %}

{% macro spark__external_identifiers(expression) -%}
    nullif(array_join(
        transform(
            filter(
                transform(
                    from_json(case when {{ cdp.json_kind(expression) }} = 'array' then {{ expression }} end, 'array<string>'),
                    given -> named_struct(
                        'held', from_json(given, 'type string, collection string, id string'),
                        'type_kind', {{ cdp.spark_kind('given', 'type') }}, 'id_kind', {{ cdp.spark_kind('given', 'id') }}
                    )
                ),
                entry -> {{ cdp.has_text('entry.held.type') }} and coalesce(entry.held.collection, 'users') = 'users'
                and {{ cdp.has_text('entry.held.id') }}
                and not {{ cdp.spark_is_no_word('entry.type_kind') }} and not {{ cdp.spark_is_no_word('entry.id_kind') }}
            ),
            entry -> '{"type":' || {{ cdp.json_quote('entry.held.type') }} || ',"value":' || {{ cdp.json_quote(
                "case when entry.id_kind = 'STRING' then entry.held.id else " ~ cdp.whole_number('entry.held.id') ~ " end"
            ) }} || '}'
        ),
        ','
    ), '')
{%- endmacro %}

{% macro spark__unreadable_externals(expression) -%}
    case
        when {{ expression }} is null then false
        when {{ cdp.holds_array(expression) }} then exists(
            from_json({{ expression }}, 'array<variant>'),
            given -> schema_of_variant(given) not like 'OBJECT%'
            or {{ cdp.spark_is_no_word("schema_of_variant(try_variant_get(given, '$.id', 'variant'))") }}
        )
        else true
    end
{%- endmacro %}

{% macro spark_kind(text, name) -%}
    schema_of_variant(try_variant_get(try_parse_json({{ text }}), '$.{{ name }}', 'variant'))
{%- endmacro %}

{% macro spark_is_no_word(kind) -%}
    coalesce({{ kind }} like 'OBJECT%' or {{ kind }} like 'ARRAY%' or {{ kind }} = 'BOOLEAN', false)
{%- endmacro %}

{% macro spark__preferences_as_consents(expression, regulation) -%}
    nullif('[' || array_join(
        transform(
            filter(
                map_entries(from_json(
                    case when {{ cdp.json_kind(expression) }} = 'object' then {{ expression }} end, 'map<string, string>'
                )),
                answer -> answer.value in ('true', 'false')
            ),
            answer -> '{"regulation":"{{ regulation }}","purpose":' || {{ cdp.json_quote('answer.key') }}
            || ',"state":"' || case when answer.value = 'true' then 'granted' else 'denied' end || '"}'
        ),
        ','
    ) || ']', '[]')
{%- endmacro %}

{# A cast takes more spellings than DuckDB does ("1d", "1f"), so the text must look like a number first. #}
{% macro spark_number(expression) -%}
    case
        when cast({{ expression }} as string) rlike '^\\s*[+-]?([0-9]+(_[0-9]+)*[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\\s*$'
            then replace(trim(cast({{ expression }} as string)), '_', '')
    end
{%- endmacro %}

{% macro spark__to_money(expression) -%}
    try_cast({{ cdp.spark_number(expression) }} as decimal(18, 2))
{%- endmacro %}

{% macro spark__to_type(expression, type) -%}
    {%- if type == 'bigint' -%}
    try_cast(round(try_cast({{ cdp.spark_number(expression) }} as decimal(38, 18))) as bigint)
    {%- elif type == 'double' -%}
    case
        when lower(trim({{ expression }})) in ('nan', 'inf', '-inf', '+inf', 'infinity', '-infinity', '+infinity')
            then try_cast(trim({{ expression }}) as double)
        else try_cast({{ cdp.spark_number(expression) }} as double)
    end
    {%- else -%}
    case
        when lower({{ expression }}) in ('true', 't', 'yes', 'y', '1') then true
        when lower({{ expression }}) in ('false', 'f', 'no', 'n', '0') then false
    end
    {%- endif -%}
{%- endmacro %}

{% macro spark__type_double() -%}
    double
{%- endmacro %}

{% macro spark__moment_of(text) -%}
    try_cast({{ text }} as timestamp_ntz)
{%- endmacro %}

{% macro spark__moment_of_epoch(micros) -%}
    cast('1970-01-01' as timestamp_ntz)
    + make_dt_interval(0, 0, 0, cast(cast({{ micros }} as decimal(18, 0)) / cast(1000000 as decimal(7, 0)) as decimal(18, 6)))
{%- endmacro %}

{# A time that a change of clocks repeats is its second occurrence, as on DuckDB. #}
{% macro spark__utc_of_local(moment, timezone) -%}
    {{ cdp.let(
        'first', "convert_timezone('" ~ timezone ~ "', 'UTC', " ~ moment ~ ")",
        "case when convert_timezone('UTC', '" ~ timezone ~ "', timestampadd(hour, 1, first)) = " ~ moment
        ~ " then timestampadd(hour, 1, first) else first end"
    ) }}
{%- endmacro %}

{% macro spark__minutes_before(moment, minutes) -%}
    timestampadd(minute, -({{ minutes }}), {{ moment }})
{%- endmacro %}

{# dbt's own dateadd for Spark loses fractions of seconds, and fails on null. #}
{% macro spark__plus(expression, seconds) -%}
    timestampadd(second, {{ seconds }}, {{ expression }})
{%- endmacro %}

{# Spark has no temporary tables, and a chain of views would be computed anew at every step of a loop. #}
{% macro spark__scratch(name) -%}
    {{ return(this.schema ~ '._' ~ this.identifier ~ '__' ~ name) }}
{%- endmacro %}

{# Spark reads the Parquet in place: tables over folders of links to the files that count, which `cdp load` (a part of every
   `cdp run`) makes anew before each build. What a hidden file (_schema.parquet) tells the other engines is written out here. #}
{% macro spark__open_landing() %}
    {% if flags.WHICH in ('build', 'run', 'retry') and not flags.FULL_REFRESH %}
        {% do exceptions.raise_compiler_error(
            'On Spark over Parquet every build is a full one: run `cdp run`, or `dbt build --full-refresh`.'
        ) %}
    {% endif %}
    {% do run_query('create schema if not exists landing') %}
    {% for node in graph.sources.values() %}
        {% if node.source_name == 'cdp' and node.name == 'batches' %}
            {% set columns = 'batch_id string, batch_seq bigint, source string, stream string, records bigint, errors bigint, '
                ~ 'landed_at timestamp_ntz' %}
            {% set reader, folder, files = 'json', 'spark/landed/landing', '*.json' %}
        {% elif node.source_name == 'cdp' and node.name == 'ledger' %}
            {% set columns = 'run_id string, sync string, row_key string, profile_id string, operation string, status string, '
                ~ 'attempt bigint, code string, message string, payload_hash string, identifiers_sent string, '
                ~ 'consent_message_id string, idempotency_key string, attempted_at timestamp_ntz, ledger_no bigint, batch_no bigint, '
                ~ 'destination string, address string' %}
            {% set reader, folder, files = 'parquet', 'spark/landed/deliveries/ledger', '*.parquet' %}
        {% else %}
            {% set columns = '_source string, _stream string, _batch_id string, _batch_seq bigint, _record_no bigint, '
                ~ '_file string, _landed_at timestamp_ntz, _payload string, _error string' %}
            {% set reader, folder, files = 'parquet', 'spark/landed/landing/' ~ node.source_name ~ '/' ~ node.name, '*.parquet' %}
        {% endif %}
        {% set table = node.schema ~ '.' ~ node.identifier %}
        {% do run_query('drop table if exists ' ~ table) %}
        {% do run_query(
            'create table ' ~ table ~ ' (' ~ columns ~ ') using ' ~ reader ~ " options (path '"
            ~ cdp.spark_path(folder)
            ~ "', pathGlobFilter '" ~ files ~ "', recursiveFileLookup 'true')"
        ) %}
    {% endfor %}
{% endmacro %}

{# Views and seeds as Parquet, next to the tables, which are Parquet anyway: readers need no Spark (engines/spark.py). The ledger
   is Parquet already. #}
{% macro spark__publish() %}
    {% for node in graph.nodes.values() %}
        {% if (node.resource_type == 'seed' or node.config.materialized == 'view') and node.name != 'deliveries' %}
            {% set relation = adapter.get_relation(none, node.schema, node.alias) %}
            {% if relation and not node.name.startswith('stg_') %}
                {% do run_query(
                    "insert overwrite directory '" ~ cdp.spark_path('spark/published/' ~ node.schema ~ '/' ~ node.alias)
                    ~ "' using parquet select * from " ~ relation
                ) %}
            {% endif %}
        {% endif %}
    {% endfor %}
{% endmacro %}

{% macro spark_path(path) -%}
    {{ (env_var('CDP_HOME', 'data') ~ '/' ~ path) | replace("\\", "\\\\") | replace("'", "\\'") }}
{%- endmacro %}
