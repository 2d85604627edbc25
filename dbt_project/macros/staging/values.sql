{# The entries of a mapping as SQL. An entry's value is a text, except: date_of and epoch give a timestamp; money, number, boolean
   and json give JSON text when they are put into an object (json_of). #}

{# An entry over columns or expressions, for a hand-written model: {{ as_sql(value_map('tier', {'1': 'gold'})) }}. #}
{% macro as_sql(entry, timezone='UTC') -%}
    {{ return(cdp.value_of(entry, none, timezone)) }}
{%- endmacro %}

{# What an entry reads: its fields as entries of their own, each once, in order. #}
{% macro fields_of(entry) -%}
    {%- set found = [] -%}
    {%- if entry is string -%}{%- do found.append({'path': entry.split('.'), 'raw': false}) -%}
    {%- elif entry['how'] == 'field' -%}{%- do found.append({'path': entry['path'], 'raw': false}) -%}
    {%- else -%}
        {%- for each in entry['reads'] -%}
            {%- for leaf in cdp.fields_of(each) -%}
                {%- do found.append({'path': leaf['path'], 'raw': entry['how'] == 'json'}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# The name under which `columns` knows a field. #}
{% macro field_key(path, raw=false) -%}
    {{ return(('raw\n' if raw else '') ~ path | join('\n')) }}
{%- endmacro %}

{# SQL of an entry's value. `columns`: {field_key: column}, or none: what it reads are expressions themselves. `known`: columns
   that hold what an entry says already, {cdp.entry_key(entry): column}. #}
{% macro value_of(entry, columns, timezone='UTC', known={}) -%}
    {%- if cdp.entry_key(entry) in known -%}{{ return(known[cdp.entry_key(entry)]) }}{%- endif -%}
    {%- if entry is string -%}
        {{ return(columns[cdp.field_key(entry.split('.'))] if columns is not none else entry) }}
    {%- elif entry['how'] == 'field' -%}
        {{ return(columns[cdp.field_key(entry['path'])] if columns is not none else cdp.column_name(entry['path'][-1])) }}
    {%- elif entry['how'] == 'json' -%}
        {%- set leaf = cdp.fields_of(entry)[0] -%}
        {{ return(columns[cdp.field_key(leaf['path'], true)] if columns is not none else entry['reads'][0]) }}
    {%- endif -%}
    {%- set read = [] -%}
    {%- for each in entry['reads'] -%}{%- do read.append(cdp.value_of(each, columns, timezone, known)) -%}{%- endfor -%}
    {{ return(cdp.value_of_read(entry, read, entry.get('timezone') or timezone)) }}
{%- endmacro %}

{# `read`: SQL of what the entry reads. #}
{% macro value_of_read(entry, read, timezone) -%}
    {%- set how = entry['how'] -%}
    {%- if how == 'constant' -%}{{ return(cdp.text_literal(entry['text'])) }}
    {%- elif how == 'value_map' -%}{{ return(cdp.mapped_value(read[0], entry['meanings'], entry['default'])) }}
    {%- elif how == 'country_iso' -%}{{ return(cdp.country_code(read[0], entry['code'])) }}
    {%- elif how == 'date_of' -%}{{ return(cdp.time_in_formats(read[0], entry['formats'], timezone)) }}
    {%- elif how == 'epoch' -%}{{ return(cdp.time_of_epoch(read[0], entry['unit'])) }}
    {%- elif how == 'number' -%}{{ return(cdp.json_number(read[0])) }}
    {%- elif how == 'boolean' -%}{{ return(cdp.json_boolean(read[0])) }}
    {%- elif how == 'sha256' -%}{{ return(cdp.sha256_of(read[0], entry['normalise'])) }}
    {%- elif how == 'first_of' -%}
        {%- set said = [] -%}
        {%- for each in read -%}{%- do said.append(cdp.not_blank(each)) -%}{%- endfor -%}
        {{ return('coalesce(' ~ said | join(', ') ~ ')' if said | length > 1 else said[0]) }}
    {%- elif how == 'expression' -%}
        {%- set sql = namespace(text=entry['sql']) -%}
        {%- for name in entry['reads'] -%}{%- set sql.text = sql.text | replace('{' ~ name ~ '}', read[loop.index0]) -%}{%- endfor -%}
        {{ return('(' ~ sql.text ~ ')') }}
    {%- else -%}{{ return(read[0]) }}{%- endif -%}
{%- endmacro %}

{# One text per entry that says the same. #}
{% macro entry_key(entry) -%}
    {{ return(entry | string) }}
{%- endmacro %}

{# A value as JSON text, to stand in an object; null where it says nothing. `said` is SQL of the entry's value. `blanks`:
   whether a blank text counts. #}
{% macro json_of(entry, said, blanks=true) -%}
    {%- set how = 'field' if entry is string else entry['how'] -%}
    {%- if how in ('json', 'number', 'boolean') -%}{{ return(said) }}
    {%- elif how == 'money' -%}{{ return(cdp.json_amount(said)) }}
    {%- elif how == 'in_base_currency' -%}{{ return('cast(' ~ said ~ ' as ' ~ dbt.type_string() ~ ')') }}
    {%- elif how in ('date_of', 'epoch') -%}
        {{ return(cdp.json_quote(cdp.time_as_text(said, how == 'date_of' and cdp.are_dates(entry['formats'])))) }}
    {%- elif how in ('field', 'expression') and not blanks -%}{{ return(cdp.json_quote("nullif(" ~ said ~ ", '')")) }}
    {%- else -%}{{ return(cdp.json_quote(said)) }}{%- endif -%}
{%- endmacro %}

{# {field, when, reason or reasons, detail} of what an entry cannot read, for unusable_fields; none where it reads anything.
   `said`: SQL of its value; `source`: SQL of the text that it read. #}
{% macro fault_of(entry, said, source) -%}
    {%- if entry is string or entry['how'] not in ('country_iso', 'date_of', 'epoch', 'number', 'boolean') -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set reason = {'country_iso': 'unknown_country', 'number': 'not_a_number', 'boolean': 'not_a_boolean'}.get(entry['how'], 'bad_date') -%}
    {{ return({
        'field': cdp.fault_field(entry), 'reason': reason, 'detail': source,
        'when': 'case when ' ~ said ~ ' is null then ' ~ cdp.says_something(source) ~ ' else false end',
    }) }}
{%- endmacro %}

{# `default` as value_map has it: a mapping where the value passes through. #}
{% macro mapped_value(expression, meanings, default={}) -%}
    case
        {% for value, meaning in meanings.items() -%}
        when {{ expression }} = {{ cdp.text_literal(value) }} then {{ 'null' if meaning is none else cdp.text_literal(meaning | string) }}
        {% endfor -%}
        {% if default is mapping -%}
        else {{ expression }}
        {% elif default is not none -%}
        when {{ expression }} is not null then {{ cdp.text_literal(default | string) }}
        {% endif -%}
    end
{%- endmacro %}

{# A text as a JSON number; null where it is none. A plus, zeroes before it and a bare point go. #}
{% macro json_number(expression) -%}
    {%- set spelled = namespace(sql='number_text') -%}
    {%- for pattern, by in [('^[+]', ''), ('^(-?)0+([0-9])', '\\1\\2'), ('^[.]', '0.'), ('^-[.]', '-0.'), ('[.]([eE]|$)', '\\1')] -%}
        {%- set spelled.sql = cdp.replaced_pattern(spelled.sql, pattern, by) -%}
    {%- endfor -%}
    case
        when {{ cdp.matches_pattern(expression, '^-?(0|[1-9][0-9]{0,17})([.][0-9]{1,17})?$') }} then {{ expression }}
        when {{ expression }} <> '' then {{ cdp.let('number_text', cdp.spelled_text(expression),
            'case when ' ~ cdp.is_plain_number('number_text') ~ ' then ' ~ spelled.sql ~ ' end') }}
    end
{%- endmacro %}

{% macro json_boolean(expression) -%}
    case
        when lower({{ expression }}) in ('true', 't', 'yes', 'y', '1') then 'true'
        when lower({{ expression }}) in ('false', 'f', 'no', 'n', '0') then 'false'
    end
{%- endmacro %}

{% macro sha256_of(expression, normalise) -%}
    {%- set text = expression if normalise is none else cdp.spelled_as(normalise, expression) -%}
    case when {{ cdp.has_text(expression) }} then {{ cdp.sha256_hex(text) }} end
{%- endmacro %}

{# The ISO code of a country's name or code, by the seed; null where it is none. #}
{% macro country_code(expression, code=2) -%}
    {%- set found -%}
        (
            select max(countries.code)
            from (
                select spelling, iso_{{ code }} as code from {{ ref('countries') }}
                union all
                select lower(iso_2), iso_{{ code }} from {{ ref('countries') }}
                union all
                select lower(iso_3), iso_{{ code }} from {{ ref('countries') }}
            ) as countries
            where countries.spelling = country_spelling
        )
    {%- endset -%}
    {{ cdp.let_and_ask('country_spelling', cdp.country_spelling(expression), found) }}
{%- endmacro %}

{# As the seed spells: small letters, no full stops, no blanks at the ends. #}
{% macro country_spelling(expression) -%}
    {%- set spelled = 'replace(replace(' ~ cdp.lower_text('country_text') ~ ", '.', ''), '’', " ~ cdp.text_literal("'") ~ ')' -%}
    case
        when {{ cdp.matches_pattern(expression, '^[A-Za-z]+$') }} then lower({{ expression }})
        when {{ expression }} <> '' then {{ cdp.let('country_text', cdp.spelled_text(expression), spelled) }}
    end
{%- endmacro %}
