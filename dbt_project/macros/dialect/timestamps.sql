{# Source times as UTC timestamps, microseconds, without zone. #}

{# Text to UTC. A text with Z, UTC or an offset is converted; a naive one is read in `timezone`; a number is epoch seconds or
   milliseconds. Null where the text, without blanks around it, is no possible time to its last character:

   - year-month-day, alone or with hour:minute[:second[.fraction]] after T or a blank. Month, day and hour may have one digit;
     a fraction is cut to microseconds; 24:00 ends a day.
   - the same in ISO's basic format, yyyymmdd[Thhmm[ss[.fraction]]].
   - an offset of hours, hhmm or hh:mm up to 14:00. A name of a zone, AM or PM is none.
   - a number of 9 or 10 digits (seconds), or of 12 or 13 (milliseconds), with or without a fraction, negative before 1970.
     One of 12 that begins like a year is left out: somebody may have meant 202610011000.

   Years are 1900 to 2199. #}
{% macro to_utc(expression, timezone='UTC') -%}
    {{ return(adapter.dispatch('to_utc', 'cdp')(expression, timezone)) }}
{%- endmacro %}

{% macro default__to_utc(expression, timezone) -%}
    {{ cdp.let('given_time', cdp.spelled_text(expression), cdp.time_of_text('given_time', timezone)) }}
{%- endmacro %}

{# Nearly every time is spelled as DuckDB itself reads it, fast. #}
{% macro duckdb__to_utc(expression, timezone) -%}
    case
        when {{ cdp.is_usual_time(expression) }} then {{ cdp.read_usual_time(expression, timezone) }}
        when {{ expression }} <> '' then {{ cdp.default__to_utc(expression, timezone) }}
    end
{%- endmacro %}

{# Whether a text has one of the forms that read_usual_time reads. #}
{% macro is_usual_time(expression) -%}
    regexp_full_match({{ expression }}, '(19|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-4]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-3])(:?[0-5][0-9])?|[+-]14(:?00)?)?)?|[0-6][0-9]{12}|[0-6][0-9]{9}')
{%- endmacro %}

{% macro read_usual_time(expression, timezone) -%}
    case
        when {{ expression }} like '%Z' then try_cast({{ expression }} as timestamp)
        when {{ expression }} not like '____-%' and length({{ expression }}) = 13
            then make_timestamp(cast({{ expression }} as bigint) * 1000)
        when {{ expression }} not like '____-%' then make_timestamp(cast({{ expression }} as bigint) * 1000000)
        when regexp_matches({{ expression }}, ':.*[+-]') then try_cast({{ expression }} as timestamptz) at time zone 'UTC'
        else {{ cdp.utc_of_local('try_cast(' ~ expression ~ ' as timestamp)', timezone) }}
    end
{%- endmacro %}

{# All columns of a relation or CTE and, in UTC, the times that its texts say. `times`: {new column: text}. #}
{% macro with_times(source_sql, times, timezone='UTC') -%}
    {{ return(adapter.dispatch('with_times', 'cdp')(source_sql, times, timezone)) }}
{%- endmacro %}

{% macro default__with_times(source_sql, times, timezone) -%}
select
    records.*,
    {% for name, text in times.items() -%}
    {{ cdp.to_utc(text, timezone) }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as records
{%- endmacro %}

{# The unusual ones, which are few, in one expression for all of the texts, as it takes long to plan. #}
{% macro duckdb__with_times(source_sql, times, timezone) -%}
select
    * exclude (usual_times, unusual_times),
    {% for name in times -%}
    coalesce(usual_times[{{ loop.index }}], unusual_times[{{ loop.index }}]) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from (
    select
        *,
        case
            when {% for text in times.values() %}({{ text }} <> '' and usual_times[{{ loop.index }}] is null){{ ' or ' if not loop.last }}{% endfor %}
                then list_transform(
                    [{{ times.values() | join(', ') }}],
                    lambda time_text: {{ cdp.default__to_utc('time_text', timezone) }}
                )
        end as unusual_times
    from (
        select
            *,
            [
                {% for text in times.values() -%}
                case when {{ cdp.is_usual_time(text) }} then {{ cdp.read_usual_time(text, timezone) }} end{{ ',' if not loop.last }}
                {% endfor %}
            ] as usual_times
        from {{ source_sql }} as records
    ) as read_fast
) as timed
{%- endmacro %}

{% macro time_pattern(name) -%}
    {%- set date = '(19|2[01])[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}' -%}
    {%- set clock = '([01]?[0-9]|2[0-4]):[0-5][0-9](:[0-5][0-9]([.,][0-9]+)?)?' -%}
    {%- set basic_clock = '([01][0-9]|2[0-4])[0-5][0-9]([0-5][0-9]([.,][0-9]+)?)?' -%}
    {%- set zone = '(Z|z|UTC|[+-](0[0-9]|1[0-3])(:?[0-5][0-9])?|[+-]14(:?00)?)' -%}
    {{ return({
        'extended': '^' ~ date ~ '([Tt ]' ~ clock ~ '( ?' ~ zone ~ ')?)?$',
        'basic': '^(19|2[01])[0-9]{6}([Tt]' ~ basic_clock ~ zone ~ '?)?$',
        'seconds': '^-?[0-9]{9,10}([.][0-9]+)?$',
        'milliseconds': '^-?([0-9]{13}|(1[0-8]|2[2-9]|[03-9][0-9])[0-9]{10})([.][0-9]+)?$',
    }[name]) }}
{%- endmacro %}

{# `text` is a column without blanks around it. #}
{% macro time_of_text(text, timezone) -%}
    case
        when {{ cdp.matches_pattern(text, cdp.time_pattern('extended')) }} or {{ cdp.matches_pattern(text, cdp.time_pattern('basic')) }}
            then {{ cdp.let('usual_time', cdp.usual_time(text), cdp.time_of_usual('usual_time', timezone)) }}
        when {{ cdp.matches_pattern(text, cdp.time_pattern('seconds')) }} then {{ cdp.time_of_number(text, 6) }}
        when {{ cdp.matches_pattern(text, cdp.time_pattern('milliseconds')) }} then {{ cdp.time_of_number(text, 3) }}
    end
{%- endmacro %}

{# yyyy-mm-dd[ hh:mm[:ss[.fraction]]][zone], out of all that the patterns let pass. #}
{% macro usual_time(text) -%}
    {%- set spelled = namespace(sql="replace(replace(replace(upper(" ~ text ~ "), ',', '.'), 'UTC', 'Z'), 'T', ' ')") -%}
    {%- for pattern, by in [
        ('^([0-9]{4})([0-9]{2})([0-9]{2})', '\\1-\\2-\\3'), ('^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2})([0-9]{2})', '\\1 \\2:\\3'),
        ('^([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2})([0-9]{2})', '\\1:\\2'), ('^([0-9]{4})-([0-9])-', '\\1-0\\2-'),
        ('^([0-9]{4}-[0-9]{2})-([0-9])( |$)', '\\1-0\\2\\3'), ('^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]):', '\\1 0\\2:'),
        (' ([Z+-][0-9:]*)$', '\\1'),
    ] -%}
        {%- set spelled.sql = cdp.replaced_pattern(spelled.sql, pattern, by) -%}
    {%- endfor -%}
    {{ return(spelled.sql) }}
{%- endmacro %}

{% macro time_of_usual(text, timezone) -%}
    {%- set fraction = cdp.replaced_pattern(text, '^[^.]*[.]?([0-9]*).*$', '\\1') -%}
    {%- set second = "case when substr(" ~ text ~ ", 17, 1) = ':' then substr(" ~ text ~ ", 18, 2) else '00' end" -%}
    {%- set clock = "case when length(" ~ text ~ ") = 10 then '00:00:00' else substr(" ~ text ~ ", 12, 5) || ':' || " ~ second ~ " end" -%}
    {%- set moment -%}
        case
            when substr({{ text }}, 12, 2) <> '24'
                then {{ cdp.moment_of("substr(" ~ text ~ ", 1, 10) || ' ' || " ~ clock ~ " || '.' || rpad(substr(" ~ fraction ~ ", 1, 6), 6, '0')") }}
            when {{ clock }} = '24:00:00' and rpad(substr({{ fraction }}, 1, 6), 6, '0') = '000000'
                then {{ cdp.plus(cdp.moment_of("substr(" ~ text ~ ", 1, 10) || ' 00:00:00.000000'"), days=1) }}
        end
    {%- endset -%}
    {%- set zone = cdp.replaced_pattern("substr(" ~ text ~ ", 12)", '^[0-9:.]*', '') -%}
    {%- set offset -%}
        cast(substr(zone, 1, 3) as {{ dbt.type_bigint() }}) * 60
        + cast(substr(zone, 1, 1) || coalesce(nullif(replace(substr(zone, 4), ':', ''), ''), '0') as {{ dbt.type_bigint() }})
    {%- endset -%}
    {{ cdp.let('moment', moment, cdp.let('zone', zone,
        "case when zone = '' then " ~ cdp.utc_of_local('moment', timezone) ~ " when zone = 'Z' then moment else "
        ~ cdp.minutes_before('moment', offset) ~ " end")) }}
{%- endmacro %}

{# Of the fraction, `digits` make whole microseconds. #}
{% macro time_of_number(text, digits) -%}
    {%- set whole = cdp.replaced_pattern(text, '[.].*$', '') -%}
    {%- set fraction = cdp.replaced_pattern(text, '^[^.]*[.]?', '') -%}
    {%- set micros = whole ~ " || rpad(substr(" ~ fraction ~ ", 1, " ~ digits ~ "), " ~ digits ~ ", '0')" -%}
    {{ cdp.let('epoch_time', cdp.moment_of_epoch('cast(' ~ micros ~ ' as ' ~ dbt.type_bigint() ~ ')'),
        'case when ' ~ cdp.is_possible_year('epoch_time') ~ ' then epoch_time end') }}
{%- endmacro %}

{% macro is_possible_year(moment) -%}
    {{ moment }} >= {{ cdp.timestamp_literal('1900-01-01') }} and {{ moment }} < {{ cdp.timestamp_literal('2200-01-01') }}
{%- endmacro %}

{# A text of the form 2026-01-31 10:00:00.000000 as the engine's timestamp; null where there is no such day. #}
{% macro moment_of(text) -%}
    {{ return(adapter.dispatch('moment_of', 'cdp')(text)) }}
{%- endmacro %}

{% macro default__moment_of(text) -%}
    try_cast({{ text }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{# Microseconds since 1970 as a timestamp. #}
{% macro moment_of_epoch(micros) -%}
    {{ return(adapter.dispatch('moment_of_epoch', 'cdp')(micros)) }}
{%- endmacro %}

{% macro default__moment_of_epoch(micros) -%}
    {{ cdp.not_on_this_engine('moment_of_epoch') }}
{%- endmacro %}

{% macro duckdb__moment_of_epoch(micros) -%}
    make_timestamp({{ micros }})
{%- endmacro %}

{# What a clock on the wall of `timezone` showed, in UTC. #}
{% macro utc_of_local(moment, timezone) -%}
    {%- if timezone == 'UTC' -%}{{ return(moment) }}{%- endif -%}
    {{ return(adapter.dispatch('utc_of_local', 'cdp')(moment, timezone)) }}
{%- endmacro %}

{% macro default__utc_of_local(moment, timezone) -%}
    {{ cdp.not_on_this_engine('utc_of_local') }}
{%- endmacro %}

{% macro duckdb__utc_of_local(moment, timezone) -%}
    timezone('{{ timezone }}', {{ moment }}) at time zone 'UTC'
{%- endmacro %}

{# `minutes` is an expression. #}
{% macro minutes_before(moment, minutes) -%}
    {{ return(adapter.dispatch('minutes_before', 'cdp')(moment, minutes)) }}
{%- endmacro %}

{% macro default__minutes_before(moment, minutes) -%}
    {{ dbt.dateadd('minute', '-(' ~ minutes ~ ')', moment) }}
{%- endmacro %}

{% macro duckdb__minutes_before(moment, minutes) -%}
    {{ moment }} - to_minutes({{ minutes }})
{%- endmacro %}

{# A moment `seconds`, `hours` or `days` (of 24 hours) after another; negative amounts are before it. #}
{% macro plus(expression, seconds=0, hours=0, days=0) -%}
    ({{ adapter.dispatch('plus', 'cdp')(expression, seconds + 3600 * hours + 86400 * days) }})
{%- endmacro %}

{% macro default__plus(expression, seconds) -%}
    {{ dbt.dateadd('second', seconds, expression) }}
{%- endmacro %}

{# A text that is an ISO time literal, as a UTC timestamp. #}
{% macro timestamp_literal(text) -%}
    cast('{{ text }}' as {{ dbt.type_timestamp() }})
{%- endmacro %}

{# A moment moved by what lies between two others. #}
{% macro moved_by(expression, from, to) -%}
    {{ return(adapter.dispatch('moved_by', 'cdp')(expression, from, to)) }}
{%- endmacro %}

{% macro default__moved_by(expression, from, to) -%}
    {{ expression }} + ({{ to }} - {{ from }})
{%- endmacro %}

{# How many seconds lie between two moments, as a double. #}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between', 'cdp')(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    cast({{ dbt.datediff(earlier, later, 'second') }} as {{ cdp.type_double() }})
{%- endmacro %}

{% macro duckdb__seconds_between(earlier, later) -%}
    (epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000
{%- endmacro %}

{% macro postgres__seconds_between(earlier, later) -%}
    cast(extract(epoch from ({{ later }} - {{ earlier }})) as {{ cdp.type_double() }})
{%- endmacro %}
