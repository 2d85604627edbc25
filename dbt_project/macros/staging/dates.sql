{# Times in the formats of a source, in one notation for all engines:

   YYYY, YY (20YY)    MM, MON (Jan, January)    DD    HH24, HH12 with AM    MI    SS    FF (a fraction of a second)    TZ (Z, +02:00)

   Any other sign stands for itself, letters but T excepted. A day, month or hour between signs may have one digit. A format is
   read to the text's last character. #}

{% macro date_format_parts() -%}
    {{ return({
        'YYYY': '([0-9]{4})', 'YY': '([0-9]{2})', 'MON': '([A-Za-z]{3,9})', 'MM': '([0-9]{2})', 'DD': '([0-9]{2})',
        'HH24': '([0-9]{2})', 'HH12': '(0[1-9]|1[0-2])', 'MI': '([0-5][0-9])', 'SS': '([0-5][0-9])', 'FF': '([0-9]{1,9})',
        'AM': '([AaPp])[.]?[Mm][.]?', 'TZ': '(Z|z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})',
    }) }}
{%- endmacro %}

{# {pattern, groups: {part: number of its group}}. Stops where a format makes no sense. #}
{% macro date_format(format) -%}
    {%- set parts, groups, patterns = cdp.date_format_parts(), {}, [] -%}
    {%- set pieces = modules.re.findall('YYYY|YY|MON|MM|DD|HH24|HH12|MI|SS|FF|AM|TZ|.', format) -%}
    {%- for piece in pieces -%}
        {%- if piece in parts -%}
            {%- if piece in groups -%}{{ cdp.refuse_date_format(format, piece ~ ' is there twice') }}{%- endif -%}
            {%- do groups.update({piece: groups | length + 1}) -%}
            {%- set stands_alone = (loop.first or pieces[loop.index0 - 1] not in parts)
                and (loop.last or pieces[loop.index0 + 1] not in parts) -%}
            {%- if stands_alone and piece in ('MM', 'DD', 'HH24') -%}{%- do patterns.append('([0-9]{1,2})') -%}
            {%- elif stands_alone and piece == 'HH12' -%}{%- do patterns.append('(0?[1-9]|1[0-2])') -%}
            {%- else -%}{%- do patterns.append(parts[piece]) -%}{%- endif -%}
        {%- elif piece == 'T' or not modules.re.match('[A-Za-z0-9%\n]', piece) -%}
            {%- do patterns.append('\\' ~ piece if piece in '\\^$.|?*+()[]{}' else piece) -%}
        {%- else -%}{{ cdp.refuse_date_format(format, "'" ~ piece ~ "' is no part of a format") }}{%- endif -%}
    {%- endfor -%}
    {%- for either in [['YYYY', 'YY'], ['MM', 'MON'], ['DD']] -%}
        {%- if either | select('in', groups) | list | length != 1 -%}
            {{ cdp.refuse_date_format(format, 'it has to have ' ~ either | join(' or ')) }}
        {%- endif -%}
    {%- endfor -%}
    {%- if ('HH12' in groups) != ('AM' in groups) or ('HH12' in groups and 'HH24' in groups) -%}
        {{ cdp.refuse_date_format(format, 'HH12 goes with AM, HH24 without') }}
    {%- endif -%}
    {%- for part, other in [('MI', ['HH24', 'HH12']), ('SS', ['MI']), ('FF', ['SS']), ('TZ', ['MI']), ('AM', ['HH12'])] -%}
        {%- if part in groups and not other | select('in', groups) | list -%}
            {{ cdp.refuse_date_format(format, part ~ ' without ' ~ other | join(' or ')) }}
        {%- endif -%}
    {%- endfor -%}
    {%- if ('HH24' in groups or 'HH12' in groups) and 'MI' not in groups -%}
        {{ cdp.refuse_date_format(format, 'an hour without MI') }}
    {%- endif -%}
    {{ return({'pattern': '^' ~ patterns | join ~ '$', 'groups': groups}) }}
{%- endmacro %}

{% macro refuse_date_format(format, why) -%}
    {{ cdp.refuse_mapping("date format '" ~ format ~ "'", why ~ '. A format is made of '
        ~ cdp.date_format_parts() | join(', ') ~ " and signs between them, such as 'DD.MM.YYYY HH24:MI'.") }}
{%- endmacro %}

{# Whether formats tell days without a time of day. #}
{% macro are_dates(formats) -%}
    {%- set timed = [] -%}
    {%- for format in formats if 'MI' in cdp.date_format(format)['groups'] -%}{%- do timed.append(format) -%}{%- endfor -%}
    {{ return(formats and not timed) }}
{%- endmacro %}

{# A text as a UTC timestamp by the first format that reads it; without formats as to_utc reads it. #}
{% macro time_in_formats(expression, formats, timezone) -%}
    {%- if not formats -%}{{ return(cdp.to_utc(expression, timezone)) }}{%- endif -%}
    {%- set read = [] -%}
    {%- for format in formats -%}{%- do read.append(cdp.time_in_format('date_text', format, timezone)) -%}{%- endfor -%}
    {%- set first = 'coalesce(' ~ read | join(', ') ~ ')' if read | length > 1 else read[0] -%}
    case when {{ expression }} <> '' then {{ cdp.let('date_text', cdp.spelled_text(expression), first) }} end
{%- endmacro %}

{# `text` is a column without blanks around it. The format's groups are put in the order of ISO 8601, and to_utc's rules decide
   whether there is such a time. #}
{% macro time_in_format(text, format, timezone) -%}
    {%- set read = cdp.date_format(format) -%}
    {%- set groups = read['groups'] -%}
    {%- set held = {} -%}
    {%- for part, number in groups.items() -%}{%- do held.update({part: '\\' ~ number}) -%}{%- endfor -%}
    {%- set parts = [] -%}
    {%- set year = held['YYYY'] if 'YYYY' in held else '20' ~ held['YY'] -%}
    {%- if 'MM' in held -%}
        {%- do parts.append(cdp.replaced_pattern(text, read['pattern'], year ~ '-' ~ held['MM'] ~ '-' ~ held['DD'])) -%}
    {%- else -%}
        {%- do parts.append(cdp.replaced_pattern(text, read['pattern'], year ~ '-')) -%}
        {%- do parts.append(cdp.month_number(cdp.replaced_pattern(text, read['pattern'], held['MON']))) -%}
        {%- do parts.append(cdp.replaced_pattern(text, read['pattern'], '-' ~ held['DD'])) -%}
    {%- endif -%}
    {%- set clock = ':' ~ held['MI'] ~ (':' ~ held['SS'] if 'SS' in held else '') ~ ('.' ~ held['FF'] if 'FF' in held else '')
        ~ (held['TZ'] if 'TZ' in held else '') if 'MI' in held else '' -%}
    {%- if 'HH24' in held -%}
        {%- do parts.append(cdp.replaced_pattern(text, read['pattern'], ' ' ~ held['HH24'] ~ clock)) -%}
    {%- elif 'HH12' in held -%}
        {%- do parts.append("' '") -%}
        {%- do parts.append(cdp.hour_of_day(
            cdp.replaced_pattern(text, read['pattern'], held['HH12']), cdp.replaced_pattern(text, read['pattern'], held['AM']))) -%}
        {%- do parts.append(cdp.replaced_pattern(text, read['pattern'], clock)) -%}
    {%- endif -%}
    case
        when {{ cdp.matches_pattern(text, read['pattern']) }}
            then {{ cdp.let('iso_text', parts | join(' || '), cdp.time_of_iso('iso_text', timezone)) }}
    end
{%- endmacro %}

{# A text that a format made, as a timestamp. #}
{% macro time_of_iso(text, timezone) -%}
    {{ return(adapter.dispatch('time_of_iso', 'cdp')(text, timezone)) }}
{%- endmacro %}

{% macro default__time_of_iso(text, timezone) -%}
    {{ cdp.time_of_text(text, timezone) }}
{%- endmacro %}

{% macro postgres__time_of_iso(text, timezone) -%}
    landing.try_utc({{ text }}, '{{ timezone }}')
{%- endmacro %}

{# Of an English month, whole or in three letters, two digits; null where it is none. #}
{% macro month_number(text) -%}
    {%- set months = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november',
        'december'] -%}
    case lower({{ text }})
        {% for month in months -%}
        {% for name in [month, month[:3]] | unique -%}
        when '{{ name }}' then '{{ '%02d' | format(months.index(month) + 1) }}'
        {% endfor -%}
        {% endfor -%}
        when 'sept' then '09'
    end
{%- endmacro %}

{# Of an hour of 1 to 12 and a letter of AM or PM, the hour of 0 to 23. #}
{% macro hour_of_day(hour, half) -%}
    case
        when lower({{ half }}) = 'a' and {{ hour }} = '12' then '00'
        when lower({{ half }}) = 'a' or {{ hour }} = '12' then {{ hour }}
        else cast(cast({{ hour }} as {{ dbt.type_bigint() }}) + 12 as {{ dbt.type_string() }})
    end
{%- endmacro %}

{# A number of seconds, milliseconds or microseconds since 1970, as a text, as a timestamp; null where it is none, and outside
   the years 1900 to 2199. #}
{% macro time_of_epoch(expression, unit) -%}
    {%- set whole, digits = {'seconds': (11, 6), 'milliseconds': (14, 3), 'microseconds': (17, 0)}[unit] -%}
    {%- set pattern = '^-?[0-9]{1,' ~ whole ~ '}([.][0-9]+)?$' -%}
    case
        when {{ expression }} <> '' then {{ cdp.let('epoch_text', cdp.spelled_text(expression),
            'case when ' ~ cdp.matches_pattern('epoch_text', pattern) ~ ' then ' ~ cdp.time_of_number('epoch_text', digits) ~ ' end') }}
    end
{%- endmacro %}

{# A timestamp as ISO 8601 text in UTC, or its day alone. #}
{% macro time_as_text(moment, day_alone=false) -%}
    {{ 'substr(' ~ cdp.text_of_moment(moment) ~ ', 1, 10)' if day_alone else "replace(" ~ cdp.text_of_moment(moment) ~ ", ' ', 'T') || 'Z'" }}
{%- endmacro %}

{# 2026-10-01 10:00:00[.123]. #}
{% macro text_of_moment(moment) -%}
    {{ return(adapter.dispatch('text_of_moment', 'cdp')(moment)) }}
{%- endmacro %}

{% macro default__text_of_moment(moment) -%}
    cast({{ moment }} as {{ dbt.type_string() }})
{%- endmacro %}

{% macro postgres__text_of_moment(moment) -%}
    cast({{ moment }} as text) collate "C"
{%- endmacro %}

{% macro snowflake__text_of_moment(moment) -%}
    regexp_replace(regexp_replace(to_varchar({{ moment }}, 'YYYY-MM-DD HH24:MI:SS.FF6'), '[.]0+$', ''), '([.][0-9]*[1-9])0+$', '\\1')
{%- endmacro %}

{% macro bigquery__text_of_moment(moment) -%}
    regexp_replace(format_timestamp('%Y-%m-%d %H:%M:%E*S', timestamp({{ moment }})), r'[.]$', '')
{%- endmacro %}
