{# How a staging model turns a landed record into a message. See docs/staging.md for the columns. #}

{# Landed records of one stream with the given top-level fields of the record as text columns, as a CTE body.
   `body` is the record as JSON text, as it came (what hashes are of), `document` the same as the engine reads fields from;
   both are null where it could not be read. #}
{% macro landed(relation, fields=[]) -%}
    {%- set paths = {} -%}
    {%- for field in fields -%}{%- do paths.update({field: [field]}) -%}{%- endfor -%}
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
            {{ cdp.landed_document() }} as document
        from {{ relation }}
    )
    {%- endset -%}
    {% if fields %}{{ cdp.with_json_fields(records, 'document', paths) }}{% else %}select * from {{ records }} as records{% endif %}
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
    payload
{%- endmacro %}

{# message_id of a keyed record with a cursor: the same version of the same row is the same message, however often it lands. #}
{% macro keyed_message_id(source, stream, key, cursor) -%}
    case when {% for column in key %}{{ column }} is not null{{ ' and ' if not loop.last }}{% endfor %}
        then {{ dbt.hash("'" ~ source ~ '|' ~ stream ~ "|' || " ~ key | join(" || '|' || ") ~ " || '|' || coalesce(" ~ cursor ~ ", '')") }}
    end
{%- endmacro %}

{# message_id of a record without a key: equal records of one file are told apart by their ordinal, so honest repeats stay. #}
{% macro keyless_message_id(source, stream, record, ordinal) -%}
    {{ dbt.hash("'" ~ source ~ '|' ~ stream ~ "|' || " ~ record ~ " || '|' || cast(" ~ ordinal ~ ' as ' ~ dbt.type_string() ~ ')') }}
{%- endmacro %}

{% macro ordinal_in_file(record) -%}
    row_number() over (partition by batch_seq, file, {{ record }} order by record_no, item_no)
{%- endmacro %}

{# identifiers as a JSON array of {type, value}: `values` maps type to expression (or a list of them); null and blank are left out. #}
{% macro identifiers(values, more=[]) -%}
    {%- set parts = [] -%}
    {%- for type, expressions in values.items() -%}
        {%- for expression in ([expressions] if expressions is string else expressions) -%}
            {%- do parts.append(
                "case when trim(" ~ expression ~ ") <> '' then '{\"type\":\"" ~ type ~ "\",\"value\":' || "
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
        {%- do parts.append(
            "'\"" ~ name ~ "\":' || case when " ~ cdp.is_plain_number(expression) ~ " and " ~ cdp.to_money(expression)
            ~ " is not null then cast(" ~ cdp.to_money(expression) ~ " as " ~ dbt.type_string() ~ ") else "
            ~ cdp.json_quote(cdp.not_blank(expression)) ~ " end"
        ) -%}
    {%- endfor -%}
    '{' || {{ cdp.join_parts(parts) }} || '}'
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
   condition, `detail` (the value as it came) may be left out. #}
{% macro unusable_fields(faults) -%}
    {%- set parts = [] -%}
    {%- for fault in faults -%}
        {%- set detail = "coalesce(',\"detail\":' || " ~ cdp.json_quote(fault['detail']) ~ ", '')" if 'detail' in fault else "''" -%}
        {%- do parts.append(
            "case when " ~ fault['when'] ~ " then '{\"field\":\"" ~ fault['field'] ~ "\",\"reason\":\"" ~ fault['reason']
            ~ "\"' || " ~ detail ~ " || '}' end"
        ) -%}
    {%- endfor -%}
    nullif('[' || {{ cdp.join_parts(parts) }} || ']', '[]')
{%- endmacro %}

{# What a staging model hands to staging.arrivals. docs/staging.md says what each column means. #}
{% macro candidate_columns() -%}
    {{ cdp.record_columns() }},
    message_id,
    record_key,
    record_hash,
    type,
    event_name,
    occurred_text,
    occurred_at,
    occurred_is_impossible,
    received_at,
    identifiers,
    traits,
    properties,
    context,
    consent,
    previous_id,
    missing_field,
    unusable_field
{%- endmacro %}

{# Columns that a stream has nothing to say about, as nulls. #}
{% macro unset(columns) -%}
    {% for column in columns %}cast(null as {{ dbt.type_string() }}) as {{ column }}{{ ',\n    ' if not loop.last }}{% endfor %}
{%- endmacro %}
