{# How a staging model turns a landed record into a message. See docs/staging.md for the columns. #}

{# Landed records of one stream with the given top-level fields of the record as text columns, as a CTE body. A field is a
   text, a number or a boolean; where it is an array or an object it is null and goes to quarantine, while the record stays.
   Fields named in `nested` may hold anything: JSON text. In place of a list each may be {column: path}, a path being a list of keys.
   `body` is the record as JSON text, as it came (what hashes are of), `document` the same as the engine reads fields from;
   both are null where it could not be read. #}
{% macro landed(relation, fields=[], nested=[]) -%}
    {%- set paths = {} -%}
    {%- for named in [fields, nested] -%}
        {%- for field in named -%}{%- do paths.update({field: named[field] if named is mapping else [field]}) -%}{%- endfor -%}
    {%- endfor -%}
    {%- set fields, nested = fields | list, nested | list -%}
    {%- set records -%}
    (
        select
            _batch_id as batch_id,
            _batch_seq as batch_seq,
            _record_no as record_no,
            0 as item_no,
            _landed_at as landed_at,
            _file as file,
            _error as read_error,
            _payload as payload,
            case when _error is null then _payload end as body,
            {{ cdp.landed_document() }} as document,
            case when _error is null and {{ cdp.holds_null_character('_payload') }} then '[{"reason":"null_character"}]' end
                as {{ 'landed_faults' if fields else 'field_faults' }}
        from {{ relation }}
    )
    {%- endset -%}
    {% if fields -%}
    {{ cdp.with_fields(records, 'document', paths, scalars=fields, raw=nested, more_faults=['landed_faults']) }}
    {%- elif nested -%}
    {{ cdp.with_json_fields(records, 'document', paths, nested) }}
    {%- else -%}
    select * from {{ records }} as records
    {%- endif %}
{%- endmacro %}

{# The columns that every staging model hands on unchanged. #}
{% macro record_columns() -%}
    batch_id,
    batch_seq,
    record_no,
    item_no,
    landed_at,
    file,
    read_error,
    payload,
    field_faults
{%- endmacro %}

{# message_id of a keyed record with a cursor: the same version of the same row is the same message, however often it lands. #}
{% macro keyed_message_id(source, stream, key, cursor) -%}
    case when {% for column in key %}{{ column }} is not null{{ ' and ' if not loop.last }}{% endfor %}
        then {{ dbt.hash("'" ~ source ~ '|' ~ stream ~ "|' || " ~ key | join(" || '|' || ") ~ " || '|' || coalesce(" ~ cursor ~ ", '')") }}
    end
{%- endmacro %}

{# message_id of a record without a key, for a staging model that numbers equal records of a file
   itself. (One that gives no id, no key and `record_hash` leaves that to fates.) #}
{% macro keyless_message_id(source, stream, record, ordinal) -%}
    {{ cdp.hash_of_keyless("'" ~ source ~ "'", "'" ~ stream ~ "'", record, ordinal) }}
{%- endmacro %}

{% macro hash_of_keyless(source, stream, record, ordinal) -%}
    {{ dbt.hash(
        source ~ " || '|' || " ~ stream ~ " || '|' || " ~ record
        ~ " || '|' || cast(" ~ ordinal ~ ' as ' ~ dbt.type_string() ~ ')'
    ) }}
{%- endmacro %}

{# identifiers as a JSON array of {type, value}: `values` maps type to expression (or a list of them); null and blank are left out.
   The expressions are of fields that landed() or with_fields() read, which are no arrays or objects. #}
{% macro identifiers(values, more=[]) -%}
    {%- set parts = [] -%}
    {%- for type, expressions in values.items() -%}
        {%- for expression in ([expressions] if expressions is string else expressions) -%}
            {%- do parts.append(
                "case when " ~ cdp.has_text(expression) ~ " then '{\"type\":\"" ~ type ~ "\",\"value\":' || "
                ~ cdp.json_quote(expression) ~ " || '}' end"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    '[' || {{ cdp.join_parts(parts + more) }} || ']'
{%- endmacro %}

{# A JSON object from expressions: `texts` become strings, `numbers` (text that is a number) stay numbers, and what is written
   otherwise ("$1,234.50") stays as it is written; nulls and blank numbers are left out. #}
{% macro object(texts={}, numbers={}) -%}
    {%- set parts = [] -%}
    {%- for name, expression in texts.items() -%}
        {%- do parts.append("'\"" ~ name ~ "\":' || " ~ cdp.json_quote(expression)) -%}
    {%- endfor -%}
    {%- for name, expression in numbers.items() -%}
        {%- do parts.append("'\"" ~ name ~ "\":' || " ~ cdp.json_amount(expression)) -%}
    {%- endfor -%}
    '{' || {{ cdp.join_parts(parts) }} || '}'
{%- endmacro %}

{# A text as a JSON number in cents where it is a plain number, else as it is written; null where it is blank. #}
{% macro json_amount(expression) -%}
    case
        when {{ cdp.is_plain_number(expression) }} and {{ cdp.to_money(expression) }} is not null
            then cast({{ cdp.to_money(expression) }} as {{ dbt.type_string() }})
        else {{ cdp.json_quote(cdp.not_blank(expression)) }}
    end
{%- endmacro %}

{# One consent entry as a JSON array of {regulation, purpose, state}; null where the state is neither. #}
{% macro consent(granted, denied, purpose, regulation='gdpr') -%}
    case
        when {{ granted }}
            then '[{"regulation":"{{ regulation }}","purpose":"{{ purpose }}","state":"granted"}]'
        when {{ denied }}
            then '[{"regulation":"{{ regulation }}","purpose":"{{ purpose }}","state":"denied"}]'
    end
{%- endmacro %}

{# Fields of a message that make no sense and go to quarantine, while the message stays: a JSON array of
   {field, reason, detail}; null where every field is fine. `faults`: a list of {field, reason, when, detail}; `when` is a
   condition, `detail` (the value as it came) may be left out. In place of `reason`, `reasons` is an expression that tells the
   reason, or null. `more`: columns that hold such arrays already. #}
{% macro unusable_fields(faults, more=[]) -%}
    {%- set parts = [] -%}
    {%- for held in more -%}{%- do parts.append(cdp.inner_faults(held)) -%}{%- endfor -%}
    {%- for fault in faults -%}
        {%- set detail = "coalesce(',\"detail\":' || " ~ cdp.json_quote(fault['detail']) ~ ", '')" if 'detail' in fault else "''" -%}
        {%- set reason = fault['reasons'] if 'reasons' in fault else "'" ~ fault['reason'] ~ "'" -%}
        {%- do parts.append(
            "case when " ~ fault['when'] ~ " then '{\"field\":\"" ~ fault['field'] ~ "\",\"reason\":\"' || " ~ reason
            ~ " || '\"' || " ~ detail ~ " || '}' end"
        ) -%}
    {%- endfor -%}
    nullif('[' || {{ cdp.join_parts(parts) }} || ']', '[]')
{%- endmacro %}

{# An array of faults without its brackets; a staging model may also just name one field. #}
{% macro inner_faults(faults) -%}
    case
        when {{ faults }} like '[%' then substring({{ faults }}, 2, length({{ faults }}) - 2)
        else '{"field":' || {{ cdp.json_quote(faults) }} || '}'
    end
{%- endmacro %}

{# What a staging model hands to staging.arrivals: {column: type}. docs/staging.md says what each column means. #}
{% macro candidate_types() -%}
    {%- set text, number, moment = dbt.type_string(), dbt.type_bigint(), dbt.type_timestamp() -%}
    {{ return({
        'batch_id': text, 'batch_seq': number, 'record_no': number, 'item_no': number, 'landed_at': moment, 'file': text,
        'read_error': text, 'payload': text, 'field_faults': text, 'message_id': text, 'record_key': text, 'record_hash': text,
        'type': text, 'event_name': text, 'occurred_text': text, 'occurred_at': moment, 'occurred_is_impossible': 'boolean',
        'received_at': moment, 'identifiers': text, 'traits': text, 'properties': text, 'context': text, 'consent': text,
        'previous_id': text, 'missing_field': text, 'unusable_field': text,
    }) }}
{%- endmacro %}

{% macro candidate_columns() -%}
    {%- for column in cdp.candidate_types() -%}
    {%- if column == 'unusable_field' -%}
    -- One unusable field may be told by its name alone.
    case
        when unusable_field like '[%' then unusable_field
        else '[{"field":' || {{ cdp.json_quote('unusable_field') }} || '}]'
    end as unusable_field
    {%- else -%}
    {{ column }},
    {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{# The same where no stream has anything to say: no rows. #}
{% macro no_candidates() -%}
    select
        cast(null as {{ dbt.type_string() }}) as source,
        cast(null as {{ dbt.type_string() }}) as stream,
        {% for column, type in cdp.candidate_types().items() -%}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from (select 1 as nothing) as nothing
    where 1 = 0
{%- endmacro %}

{# Columns that a stream has nothing to say about, as nulls. #}
{% macro unset(columns) -%}
    {% for column in columns %}cast(null as {{ dbt.type_string() }}) as {{ column }}{{ ',\n    ' if not loop.last }}{% endfor %}
{%- endmacro %}
