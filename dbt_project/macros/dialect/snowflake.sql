{# Snowflake. JSON stays text between models and is parsed where it is read. Never run against a real account: docs/engines.md. #}

{# Snowflake's own md5_number_upper64 reads the bytes in the other order. #}
{% macro snowflake__hash64(expression) -%}
    cast(floor(to_number({{ cdp.md5_bytes('md5(' ~ expression ~ ')', [7, 6, 5, 4, 3, 2, 1, 0]) }}, 'XXXXXXXXXXXXXXXX') / 2) as bigint)
{%- endmacro %}

{% macro snowflake__text_literal(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "''") }}'
{%- endmacro %}

{# As the engine spells a name without quotes, so that both ways name one column. #}
{% macro snowflake__column_name(name) -%}
    {{ return(adapter.quote(name | upper)) }}
{%- endmacro %}

{% macro snowflake__explode_identifiers(relation, keep) -%}
select
    {% for name in keep %}listed.{{ name }}, {% endfor %}
    array_size(parse_json(listed.identifiers)) as item_count,
    entries.index as place,
    cast(get_path(entries.value, 'type') as text) as identifier_type,
    cast(get_path(entries.value, 'value') as text) as value_as_given,
    {{ cdp.identifiers_are_plain('listed.identifiers') }} as is_plain
from {{ relation }} as listed
cross join lateral flatten(input => parse_json(listed.identifiers)) as entries
{%- endmacro %}

{# One parse per record. #}
{% macro snowflake__with_json_fields(source_sql, column, fields, raw) -%}
select
    parsed.* exclude (parsed_document),
    {% for name, path in fields.items() -%}
    {% set value = "get_path(parsed.parsed_document, '" ~ cdp.snowflake_path(path) ~ "')" -%}
    {{ "nullif(to_json(" ~ value ~ "), 'null')" if name in raw else 'cast(' ~ value ~ ' as text)' }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from (
    select
        records.*,
        try_parse_json(records.{{ column }}) as parsed_document
    from {{ source_sql }} as records
) as parsed
{%- endmacro %}

{% macro snowflake_path(path) -%}
    {% for key in path %}{% if key is number %}[{{ key }}]{% else %}["{{ key }}"]{% endif %}{% endfor %}
{%- endmacro %}

{% macro snowflake__json_text(expression, path) -%}
    cast(get_path(try_parse_json({{ expression }}), '{{ cdp.snowflake_path(path) }}') as text)
{%- endmacro %}

{% macro snowflake__json_value(expression, path) -%}
    nullif(to_json(get_path(try_parse_json({{ expression }}), '{{ cdp.snowflake_path(path) }}')), 'null')
{%- endmacro %}

{% macro snowflake__json_scalar(expression) -%}
    cast(try_parse_json({{ expression }}) as text)
{%- endmacro %}

{% macro snowflake__json_kind(expression) -%}
    case
        when try_parse_json({{ expression }}) is null then null
        when typeof(try_parse_json({{ expression }})) = 'OBJECT' then 'object'
        when typeof(try_parse_json({{ expression }})) = 'ARRAY' then 'array'
        else 'scalar'
    end
{%- endmacro %}

{% macro snowflake__explode_object(relation, keep, column) -%}
select
    {% for name in keep %}objects.{{ name }}, {% endfor %}
    cast(entries.key as text) as entry_key,
    to_json(entries.value) as entry_value
from {{ relation }} as objects
cross join lateral flatten(input => try_parse_json(objects.{{ column }})) as entries
{%- endmacro %}

{% macro snowflake__explode_array(relation, keep, column) -%}
select
    {% for name in keep %}arrays.{{ name }}, {% endfor %}
    elements.index as item_no,
    to_json(elements.value) as item
from {{ relation }} as arrays
cross join lateral flatten(
    input => case when {{ cdp.json_kind('arrays.' ~ column) }} = 'array' then try_parse_json(arrays.{{ column }}) end
) as elements
{%- endmacro %}

{% macro snowflake__any_item(expression, condition) -%}
    array_size(filter(
        transform(cast(try_parse_json({{ expression }}) as array), element -> cast(element as text)), item -> {{ condition }}
    )) > 0
{%- endmacro %}

{% macro snowflake__item_count(expression) -%}
    array_size(try_parse_json({{ expression }}))
{%- endmacro %}

{% macro snowflake__json_quote(expression) -%}
    to_json(to_variant(cast({{ expression }} as text)))
{%- endmacro %}

{% macro snowflake__json_merge(base, overriding) -%}
    coalesce({{ cdp.landing_function('json_merge') }}({{ base }}, {{ overriding }}), {{ overriding }}, {{ base }})
{%- endmacro %}

{% macro snowflake__join_parts(parts) -%}
    array_to_string(array_construct_compact(
        {% for part in parts %}{{ part }}{{ ',\n        ' if not loop.last }}{% endfor %}
    ), ',')
{%- endmacro %}

{% macro snowflake__external_identifiers(expression) -%}
    {{ cdp.landing_function('external_identifiers') }}({{ expression }})
{%- endmacro %}

{% macro snowflake__unreadable_externals(expression) -%}
    coalesce({{ cdp.landing_function('unreadable_externals') }}({{ expression }}) = 'true', false)
{%- endmacro %}

{% macro snowflake__preferences_as_consents(expression, regulation) -%}
    {{ cdp.landing_function('consents') }}({{ expression }}, '{{ regulation }}')
{%- endmacro %}

{% macro snowflake__to_money(expression) -%}
    try_to_decimal(cast({{ expression }} as text), 18, 2)
{%- endmacro %}

{% macro snowflake__to_type(expression, type) -%}
    {%- if type == 'bigint' -%}
    cast(try_to_decimal({{ expression }}, 19, 0) as bigint)
    {%- elif type == 'double' -%}
    try_to_double({{ expression }})
    {%- else -%}
    {{ cdp.boolean_from_text(expression) }}
    {%- endif -%}
{%- endmacro %}

{% macro snowflake__moment_of(text) -%}
    try_to_timestamp_ntz({{ text }}, 'YYYY-MM-DD HH24:MI:SS.FF6')
{%- endmacro %}

{% macro snowflake__moment_of_epoch(micros) -%}
    timestampadd('microsecond', {{ micros }}, {{ cdp.timestamp_literal('1970-01-01') }})
{%- endmacro %}

{% macro snowflake__utc_of_local(moment, timezone) -%}
    convert_timezone('{{ timezone }}', 'UTC', {{ moment }})
{%- endmacro %}

{# A difference of two times is a number here, no interval. #}
{% macro snowflake__moved_by(expression, from, to) -%}
    timestampadd('microsecond', timestampdiff('microsecond', {{ from }}, {{ to }}), {{ expression }})
{%- endmacro %}

{% macro snowflake__scratch(name) -%}
    {{ return(this.incorporate(path={'identifier': '_' ~ this.identifier ~ '__' ~ name}) | string) }}
{%- endmacro %}

{% macro snowflake__filled(table, sql) -%}
    {{ return(['create or replace temporary table ' ~ table ~ ' as ' ~ sql]) }}
{%- endmacro %}

{% macro snowflake__open_landing() %}
    {% do cdp.require_loaded_landing() %}
    {% for name, (arguments, result) in cdp.json_functions().items() %}
        {# In double quotes, or JavaScript would have to spell the arguments in capitals. #}
        {% set taken = [] %}
        {% for argument in arguments %}{% do taken.append('"' ~ argument ~ '" text') %}{% endfor %}
        {% do run_query(
            'create or replace function ' ~ cdp.landing_function(name) ~ '(' ~ taken | join(', ') ~ ') returns text '
            ~ 'language javascript immutable as $$' ~ cdp.nulls_from(arguments) ~ cdp.json_javascript(result) ~ '$$'
        ) %}
    {% endfor %}
{% endmacro %}

{# A missing argument is undefined here, and null on BigQuery. #}
{% macro nulls_from(arguments) -%}
{% for argument in arguments %}
if ({{ argument }} === undefined) { {{ argument }} = null }
{%- endfor %}
{%- endmacro %}
