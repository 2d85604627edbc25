{# What a mapping says of a field beside its name: each macro gives an entry of mapping(), a description that
   cdp.value_of() turns into SQL. `of` is a field ('country', 'address.country': a dot leads into an object) or another entry.
   In a hand-written model: {{ as_sql(country_iso('country')) }}, where `of` is a column or any expression.
   docs/mapping.md has an example of each. #}

{# A field whose name has a dot in it, or that a list of keys leads to: field(['a.b']). #}
{% macro field(path) -%}
    {{ return({'how': 'field', 'path': [path] if path is string else path, 'reads': []}) }}
{%- endmacro %}

{# The same text in every record. #}
{% macro constant(text) -%}
    {{ return({'how': 'constant', 'text': text | string, 'reads': []}) }}
{%- endmacro %}

{# Another value for each of these, matched exactly: value_map('tier', {'1': 'gold', '2': 'silver'}, default='none').
   `values` is {value: meaning} or a list of such pairs. A value that is not among them passes through, or is the `default`,
   where one is given (none: it says nothing). What the record lacks says nothing. #}
{% macro value_map(of, values, default={}) -%}
    {%- set meanings = {} -%}
    {%- for value, meaning in (values.items() if values is mapping else values) -%}
        {%- if value | string in meanings -%}
            {{ cdp.refuse_mapping('value_map of ' ~ of, "'" ~ value ~ "' is there twice: keep one of the two meanings.") }}
        {%- endif -%}
        {%- do meanings.update({value | string: meaning}) -%}
    {%- endfor -%}
    {%- if not meanings -%}{{ cdp.refuse_mapping('value_map of ' ~ of, 'it maps no value: name at least one.') }}{%- endif -%}
    {{ return({'how': 'value_map', 'reads': [of], 'meanings': meanings, 'default': default}) }}
{%- endmacro %}

{# A country, as its English name, a usual other name, or its code of two or three letters, as the code of two letters
   (code=3: of three), by the seed countries. What is no country is null, and told (unknown_country). #}
{% macro country_iso(of, code=2) -%}
    {%- if code not in (2, 3) -%}{{ cdp.refuse_mapping('country_iso of ' ~ of, 'code is ' ~ code ~ '; write 2 or 3.') }}{%- endif -%}
    {{ return({'how': 'country_iso', 'reads': [of], 'code': code}) }}
{%- endmacro %}

{# A time that is written in one of `formats` (macros/staging/dates.sql says what they are made of), else as to_utc reads it;
   what shows no zone is read in `timezone`. A date alone stays a date in traits and properties. What is no time is null, and
   told (bad_date). #}
{% macro date_of(of, formats=[], timezone=none) -%}
    {%- set formats = [formats] if formats is string else formats -%}
    {%- for format in formats -%}{%- do cdp.date_format(format) -%}{%- endfor -%}
    {{ return({'how': 'date_of', 'reads': [of], 'formats': formats, 'timezone': timezone}) }}
{%- endmacro %}

{# A number since 1970 as a time. `unit`: seconds, milliseconds or microseconds. What is none is null, and told (bad_date). #}
{% macro epoch(of, unit='seconds') -%}
    {%- if unit not in ('seconds', 'milliseconds', 'microseconds') -%}
        {{ cdp.refuse_mapping('epoch of ' ~ of, 'unit is ' ~ unit ~ '; write seconds, milliseconds or microseconds.') }}
    {%- endif -%}
    {{ return({'how': 'epoch', 'reads': [of], 'unit': unit}) }}
{%- endmacro %}

{# An amount of money, rounded to cents; `currency` is the field that names its currency. What is no amount stays as it is
   written, and is told (docs/staging.md, Money). #}
{% macro money(of, currency=none) -%}
    {{ return({'how': 'money', 'reads': [of] + ([currency] if currency else []), 'has_currency': currency is not none}) }}
{%- endmacro %}

{# The same in the base currency (vars: base_currency), by the seed exchange_rates: the latest rate on or before `day`, a time
   of the record. Null where there is no such rate, and told (no_rate). #}
{% macro in_base_currency(of, currency, day) -%}
    {{ return({'how': 'in_base_currency', 'reads': [of, currency, day]}) }}
{%- endmacro %}

{# The source's time of change, which tells the versions of an order apart: as it is written where it is a time; what is none
   is left out and told, what lies in the future is told. #}
{% macro change_time(of) -%}
    {{ return({'how': 'change_time', 'reads': [of]}) }}
{%- endmacro %}

{# A JSON number, a JSON boolean (also 1, 0, yes, no, t, f, y, n); what is none is left out and told (not_a_number, not_a_boolean). #}
{% macro number(of) -%}
    {{ return({'how': 'number', 'reads': [of]}) }}
{%- endmacro %}

{% macro boolean(of) -%}
    {{ return({'how': 'boolean', 'reads': [of]}) }}
{%- endmacro %}

{# A list, an object or whatever else the field holds, as JSON. Of a field alone. #}
{% macro json(of) -%}
    {%- if of is not string and of['how'] != 'field' -%}
        {{ cdp.refuse_mapping('json of ' ~ of, 'it reads a field as it came, not what an enricher made of it.') }}
    {%- endif -%}
    {{ return({'how': 'json', 'reads': [of]}) }}
{%- endmacro %}

{# SHA-256 in hexadecimal. `normalise`, as identifiers have it: lower (no blanks at the ends), email, phone, or none: as it is. #}
{% macro sha256(of, normalise='lower') -%}
    {%- if normalise not in ('lower', 'email', 'phone', none) -%}
        {{ cdp.refuse_mapping('sha256 of ' ~ of, 'normalise is ' ~ normalise ~ '; write lower, email, phone or none.') }}
    {%- endif -%}
    {{ return({'how': 'sha256', 'reads': [of], 'normalise': normalise}) }}
{%- endmacro %}

{# The first of several fields or entries that says something: first_of('mobile', 'phone'). #}
{% macro first_of() -%}
    {{ return({'how': 'first_of', 'reads': varargs | list}) }}
{%- endmacro %}

{# Any SQL of one text, fields in braces: expression("lower({first} || ' ' || {address.city})"). #}
{% macro expression(sql) -%}
    {%- set reads = [] -%}
    {%- for name in modules.re.findall('[{]([^{}]+)[}]', sql) if name not in reads -%}{%- do reads.append(name) -%}{%- endfor -%}
    {{ return({'how': 'expression', 'reads': reads, 'sql': sql}) }}
{%- endmacro %}

{# Stops with the file, the entry and the remedy. #}
{% macro refuse_mapping(entry, why) -%}
    {{ exceptions.raise_compiler_error((model.get('original_file_path') or model.get('name')) ~ ': ' ~ entry ~ ': ' ~ why) }}
{%- endmacro %}
