{# Streams that are tables (products, accounts): records that describe things and tell of no person. Their dbt source says
   `meta: {stream: table}`; models join what this gives. docs/mapping.md. #}

{# The latest version of each thing, in typed columns. One row per key; the model is incremental.

   key: the column, or columns, that tell things apart (texts).
   columns: {name: type}, types as vars: catalogue: properties has them; or {name: {type, from: [path, …]}}.
   cursor: the field with the source's time of change, which tells versions apart; else the later arrival counts.

   A value of another type is null, and a record without a key is set aside; both are told in staging.quarantine. Beside the columns:
   changed_at (by the cursor), landed_at, batch_seq and record_no of the version that counts; versions: how many records told of the
   thing; last_batch_seq: the last batch that did. #}
{% macro table_stream(source_name, stream_name, key, columns, cursor=none) -%}
{%- set key = [key] if key is string else key -%}
{%- do config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=key if key | length > 1 else key[0],
    meta={'table': {'source': source_name, 'stream': stream_name, 'key': key, 'columns': columns, 'cursor': cursor}},
    pre_hook=['{{ forget_set_aside() }}', '{{ set_aside() }}'],
) -%}
{%- set table = {'source': source_name, 'stream': stream_name, 'key': key, 'columns': columns, 'cursor': cursor} -%}
{%- set fields = cdp.table_columns(table) -%}
{%- set names, plain_key = [], key | join(', ') -%}
{%- for name in fields['typed'] -%}{%- do names.append(cdp.column_name(name)) -%}{%- endfor -%}
-- depends_on: {{ ref('builds') }}
-- depends_on: {{ ref('refused') }}
with told as (
    select
        {% for name in key %}{{ name }},
        {% endfor -%}
        {% for name, property in fields['typed'].items() -%}
        cast(typed_{{ loop.index }} as {{ cdp.property_types()[property['type']] }}) as {{ cdp.column_name(name) }},
        {% endfor -%}
        {{ 'changed_at' if cursor else 'cast(null as ' ~ dbt.type_timestamp() ~ ') as changed_at' }},
        landed_at,
        batch_seq,
        record_no,
        batch_seq as last_batch_seq,
        1 as versions
    from ({{ cdp.table_records(table) }}) as records
    where reason is null
){% if is_incremental() %},

known as (
    select held.*
    from {{ this }} as held
    inner join (select distinct {{ plain_key }} from told) as again
        on {% for name in key %}again.{{ name }} = held.{{ name }}{{ ' and ' if not loop.last }}{% endfor %}
){% endif %},

ranked as (
    select
        {% for name in key + names + ['changed_at', 'landed_at', 'batch_seq', 'record_no'] %}{{ name }},
        {% endfor -%}
        max(last_batch_seq) over (partition by {{ plain_key }}) as last_batch_seq,
        cast(sum(versions) over (partition by {{ plain_key }}) as {{ dbt.type_bigint() }}) as versions,
        row_number() over (
            partition by {{ plain_key }}
            order by changed_at desc, batch_seq desc, record_no desc
        ) as version
    from (
        select * from told
        {% if is_incremental() -%}
        union all
        select
            {% for name in key + names + ['changed_at', 'landed_at', 'batch_seq', 'record_no', 'last_batch_seq', 'versions'] -%}
            {{ name }}{{ ',' if not loop.last }}
            {% endfor -%}
        from known
        {%- endif %}
    ) as versions_told
)

select
    {% for name in key + names + ['changed_at', 'landed_at', 'batch_seq', 'record_no', 'last_batch_seq', 'versions'] -%}
    {{ name }}{{ ',' if not loop.last }}
    {% endfor -%}
from ranked
where version = 1
{%- endmacro %}

{# {key: {name: path}, typed: {name: {type, from}}} of a table. Stops where a declaration makes no sense. #}
{% macro table_columns(table) -%}
    {%- set keys, typed, seen = {}, {}, [] -%}
    {%- set columns = table['columns'] -%}
    {%- for name in table['key'] if name not in columns -%}{%- do keys.update({name: [name]}) -%}{%- do seen.append(name | lower) -%}{%- endfor -%}
    {%- for name, declared in columns.items() -%}
        {%- set entry = {'type': declared} if declared is string else declared -%}
        {%- set types = cdp.property_types() | list -%}
        {%- if entry is not mapping or entry.get('type') not in types or entry.keys() | reject('in', ['type', 'from', 'pii']) | list -%}
            {{ cdp.refuse_mapping('columns: ' ~ name, declared ~ ' is no type; write one of ' ~ types | join(', ')
                ~ ', or {type: …, from: [key, object.key]}.') }}
        {%- endif -%}
        {%- if not modules.re.match('^[A-Za-z_][A-Za-z0-9_]*$', name) -%}
            {{ cdp.refuse_mapping('columns: ' ~ name, "is no name of a column: write letters, digits and underscores, and what the source "
                ~ "calls it under `from` ({'unit_price': {'type': 'money', 'from': ['unit price']}}).") }}
        {%- endif -%}
        {%- if name | lower in cdp.table_own_columns() or name | lower in seen -%}
            {{ cdp.refuse_mapping('columns: ' ~ name, 'the table has a column of that name already: give it another, and say `from`.') }}
        {%- endif -%}
        {%- do seen.append(name | lower) -%}
        {%- set paths = [] -%}
        {%- for path in ([entry['from']] if entry.get('from') is string else entry.get('from') or [name]) -%}
            {%- do paths.append(path.split('.')) -%}
        {%- endfor -%}
        {%- if name in table['key'] -%}
            {%- if entry['type'] != 'text' -%}
                {{ cdp.refuse_mapping('columns: ' ~ name, 'is a ' ~ entry['type'] ~ ', and a key is a text: say text.') }}
            {%- endif -%}
            {%- do keys.update({name: paths[0]}) -%}
        {%- else -%}{%- do typed.update({name: {'type': entry['type'], 'from': paths}}) -%}{%- endif -%}
    {%- endfor -%}
    {%- if not table['key'] -%}{{ cdp.refuse_mapping('key', 'there is none: name the column that tells things apart.') }}{%- endif -%}
    {{ return({'key': keys, 'typed': typed}) }}
{%- endmacro %}

{% macro table_own_columns() -%}
    {{ return(['changed_at', 'landed_at', 'batch_seq', 'record_no', 'last_batch_seq', 'versions']) }}
{%- endmacro %}

{# The landed records of a table that this build takes in, read: its key, typed_n, changed_at, the columns of landed(), and
   reason (why a record is set aside, or null), at_field, faults (of fields, as unusable_fields gives them). #}
{% macro table_records(table) -%}
{%- set fields = cdp.table_columns(table) -%}
{%- set texts = dict(fields['key']) -%}
{%- if table['cursor'] -%}{%- do texts.update({'changed_text': table['cursor'].split('.')}) -%}{%- endif -%}
{%- set landed -%}
(
    select *
    from ({{ cdp.landed(source(table['source'], table['stream']), texts) }}) as landed_records
    where batch_seq > {{ cdp.table_read_through() }} and batch_seq <= {{ cdp.build_window().through }}
) as taken_in
{%- endset -%}
{%- set faults = cdp.change_faults(table['cursor'], 'changed_text', 'landed_at') if table['cursor'] else [] -%}
select
    *,
    {% if table['cursor'] -%}
    {{ cdp.changed_at('changed_text', 'landed_at', 'landed_at') }} as changed_at,
    {% endif -%}
    case
        when read_error is not null or payload is null then 'unreadable'
        when not coalesce({{ cdp.holds_object('ltrim(body)') }}, false) then 'not_an_object'
        {% for name in table['key'] -%}
        when coalesce(trim({{ name }}), '') = '' then 'missing_field'
        {% endfor -%}
    end as reason,
    case
        {% for name in table['key'] -%}
        when coalesce(trim({{ name }}), '') = '' then {{ cdp.text_literal(fields['key'][name] | join('.')) }}
        {% endfor -%}
    end as at_field,
    {{ cdp.unusable_fields(faults, more=['field_faults', 'wrong_types']) }} as faults
from (
    select
        *,
        '[' || nullif({{ cdp.wrong_types(fields['typed'], place='') }}, '') || ']' as wrong_types
    from ({{ cdp.with_typed_properties(landed, 'document', fields['typed']) if fields['typed'] else 'select * from ' ~ landed }}) as typed
) as typed_records
{%- endmacro %}

{# The last batch that an earlier build read into this table. #}
{% macro table_read_through() -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type == 'unit_test' -%}{{ return(-1) }}{%- endif -%}
    {%- set held = adapter.get_relation(this.database, this.schema, this.identifier) -%}
    {{ return(cdp.scalar('select coalesce(max(last_batch_seq), -1) as last_batch_seq from ' ~ held) if held else -1) }}
{%- endmacro %}

{# First hook of a table: what this build reads, again where an earlier one read it for nothing, is told anew. #}
{% macro forget_set_aside() -%}
{%- set table = model.config.meta.get('table') if execute -%}
{%- if table -%}
delete from {{ ref('refused') }}
where
    source = '{{ table['source'] }}' and stream = '{{ table['stream'] }}'
    and batch_seq > {{ cdp.table_read_through() }}
{%- endif -%}
{%- endmacro %}

{# Second hook: records without a key, and values of another type, with what is wrong. #}
{% macro set_aside() -%}
{%- set table = model.config.meta.get('table') if execute -%}
{%- if table -%}
{%- set text = dbt.type_string() -%}
{%- set records -%}
(
    select
        *,
        record_no - min(record_no) over (partition by batch_id, file) + 1 as file_record_no
    from ({{ cdp.table_records(table) }}) as read_records
) as numbered
{%- endset -%}
{%- set kept = ['batch_id', 'record_no', 'payload', 'batch_seq', 'file', 'file_record_no'] -%}
{%- set faulty = '(select * from ' ~ records ~ ' where faults is not null and reason is null)' -%}
insert into {{ ref('refused') }} (
    batch_id, record_no, message_id, source, stream, scope, reason, field, payload, detail, batch_seq, file, file_record_no
)
select
    batch_id,
    record_no,
    cast(null as {{ text }}) as message_id,
    '{{ table['source'] }}' as source,
    '{{ table['stream'] }}' as stream,
    'record' as scope,
    reason,
    case when reason = 'missing_field' then at_field end as field,
    payload,
    case when reason = 'unreadable' then read_error when reason = 'missing_field' then faults end as detail,
    batch_seq,
    file,
    case when file is not null then file_record_no end as file_record_no
from {{ records }}
where reason is not null
union all
select
    batch_id,
    record_no,
    cast(null as {{ text }}) as message_id,
    '{{ table['source'] }}' as source,
    '{{ table['stream'] }}' as stream,
    'field' as scope,
    coalesce({{ cdp.json_text('item', ['reason']) }}, 'unusable') as reason,
    {{ cdp.json_text('item', ['field']) }} as field,
    payload,
    {{ cdp.json_text('item', ['detail']) }} as detail,
    batch_seq,
    file,
    case when file is not null then file_record_no end as file_record_no
from ({{ cdp.explode_array(faulty, kept, 'faults') }}) as exploded
{%- endif -%}
{%- endmacro %}

{# What table_stream() was told, of a relation that it made. #}
{% macro table_of(relation) -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == relation.identifier -%}
            {%- set table = node.config.get('meta', {}).get('table') -%}
            {%- if table -%}{{ return(table) }}{%- endif -%}
        {%- endfor -%}
        {{ exceptions.raise_compiler_error(relation.identifier ~ ': is_table is a check of models that table_stream() makes.') }}
    {%- endif -%}
    {{ return({'source': '', 'stream': '', 'key': []}) }}
{%- endmacro %}
