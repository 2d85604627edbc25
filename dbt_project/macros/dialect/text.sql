{# Patterns, forms and letters of text, as each engine spells them. #}

{# Whether a text contains a match of a regular expression. #}
{% macro matches_pattern(expression, pattern) -%}
    {{ return(adapter.dispatch('matches_pattern', 'cdp')(expression, pattern)) }}
{%- endmacro %}

{% macro default__matches_pattern(expression, pattern) -%}
    {{ cdp.not_on_this_engine('matches_pattern') }}
{%- endmacro %}

{% macro duckdb__matches_pattern(expression, pattern) -%}
    regexp_matches({{ expression }}, '{{ pattern | replace("'", "''") }}')
{%- endmacro %}

{% macro postgres__matches_pattern(expression, pattern) -%}
    {{ expression }} ~ '{{ pattern | replace("'", "''") }}'
{%- endmacro %}

{# regexp_like wants the whole text to match. #}
{% macro snowflake__matches_pattern(expression, pattern) -%}
    regexp_like({{ expression }}, {{ cdp.text_literal('.*(' ~ pattern ~ ').*') }}, 's')
{%- endmacro %}

{% macro bigquery__matches_pattern(expression, pattern) -%}
    regexp_contains({{ expression }}, {{ cdp.text_literal(pattern) }})
{%- endmacro %}

{# Java's $ also stands before a line break at the end; elsewhere it is the very end. #}
{% macro spark__matches_pattern(expression, pattern) -%}
    {%- set pattern = pattern[:-1] ~ "\\z" if pattern.endswith('$') and not pattern.endswith("\\$") else pattern -%}
    {{ expression }} rlike '{{ pattern | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{# Whether a text contains a match of an expression that a person wrote, with or without regard to letter case. #}
{% macro matches_regex(expression, pattern, case_sensitive) -%}
    {{ return(adapter.dispatch('matches_regex', 'cdp')(expression, pattern, case_sensitive)) }}
{%- endmacro %}

{% macro default__matches_regex(expression, pattern, case_sensitive) -%}
    {{ cdp.matches_pattern(expression, ('' if case_sensitive else '(?i)') ~ pattern) }}
{%- endmacro %}

{# Under the collation "C" it would know the letters of ASCII alone. #}
{% macro postgres__matches_regex(expression, pattern, case_sensitive) -%}
    {{ cdp.default__matches_regex('(' ~ expression ~ ' collate "und-x-icu")', pattern, case_sensitive) }}
{%- endmacro %}

{% macro snowflake__matches_regex(expression, pattern, case_sensitive) -%}
    regexp_like({{ expression }}, {{ cdp.text_literal('.*(' ~ pattern ~ ').*') }}, '{{ 's' if case_sensitive else 'si' }}')
{%- endmacro %}

{# Whether a text holds more than blanks: the same ones on every engine. (What trims, identity does:
   spelling.sql.) #}
{% macro has_text(expression) -%}
    {{ return(adapter.dispatch('has_text', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__has_text(expression) -%}
    {{ cdp.matches_pattern(expression, '[^ \\t\\r\\n\\f]') }}
{%- endmacro %}

{# What begins with a letter or a sign has text; the pattern, which is dear, is for the others. #}
{% macro duckdb__has_text(expression) -%}
    ({{ expression }} >= '!' or {{ cdp.default__has_text(expression) }})
{%- endmacro %}

{# A text with another in place of each match; \1 is what the first group matched. #}
{% macro replaced_pattern(expression, pattern, by) -%}
    {{ return(adapter.dispatch('replaced_pattern', 'cdp')(expression, pattern, by)) }}
{%- endmacro %}

{% macro default__replaced_pattern(expression, pattern, by) -%}
    regexp_replace({{ expression }}, {{ cdp.text_literal(pattern) }}, {{ cdp.text_literal(by) }})
{%- endmacro %}

{% macro duckdb__replaced_pattern(expression, pattern, by) -%}
    regexp_replace({{ expression }}, {{ cdp.text_literal(pattern) }}, {{ cdp.text_literal(by) }}, 'g')
{%- endmacro %}

{% macro postgres__replaced_pattern(expression, pattern, by) -%}
    regexp_replace({{ expression }}, {{ cdp.text_literal(pattern) }}, {{ cdp.text_literal(by) }}, 'g')
{%- endmacro %}

{% macro spark__replaced_pattern(expression, pattern, by) -%}
    regexp_replace({{ expression }}, {{ cdp.text_literal(pattern) }}, {{ cdp.text_literal(by | replace('\\', '$')) }})
{%- endmacro %}

{# Ranges of code points for the brackets of a pattern. #}
{% macro code_points(ranges) -%}
    {{ return(adapter.dispatch('code_points', 'cdp')(ranges)) }}
{%- endmacro %}

{% macro default__code_points(ranges) -%}
    {%- set spelled = [] -%}
    {%- for first, last in ranges -%}
        {%- do spelled.append('\\x{%x}' | format(first)) -%}
        {%- if last > first -%}{%- do spelled.append('-\\x{%x}' | format(last)) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(spelled | join) }}
{%- endmacro %}

{% macro postgres__code_points(ranges) -%}
    {%- set spelled = [] -%}
    {%- for first, last in ranges -%}
        {%- do spelled.append('\\U%08x' | format(first)) -%}
        {%- if last > first -%}{%- do spelled.append('-\\U%08x' | format(last)) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(spelled | join) }}
{%- endmacro %}

{# Its patterns have no such escapes: the characters themselves. #}
{% macro snowflake__code_points(ranges) -%}
    {%- set spelled = [] -%}
    {%- for first, last in ranges -%}
        {%- do spelled.append('%c' | format(first)) -%}
        {%- if last > first -%}{%- do spelled.append('-%c' | format(last)) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(spelled | join) }}
{%- endmacro %}

{# Whether every character of a text is one byte. #}
{% macro is_ascii(expression) -%}
    {{ return(adapter.dispatch('is_ascii', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__is_ascii(expression) -%}
    octet_length({{ expression }}) = length({{ expression }})
{%- endmacro %}

{% macro duckdb__is_ascii(expression) -%}
    strlen({{ expression }}) = length({{ expression }})
{%- endmacro %}

{# Unicode's form NFC: a letter and its marks are one character where there is one. #}
{% macro composed(expression) -%}
    {{ return(adapter.dispatch('composed', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__composed(expression) -%}
    {{ cdp.not_on_this_engine('composed') }}
{%- endmacro %}

{% macro duckdb__composed(expression) -%}
    nfc_normalize({{ expression }})
{%- endmacro %}

{% macro postgres__composed(expression) -%}
    normalize({{ expression }}, nfc)
{%- endmacro %}

{% macro bigquery__composed(expression) -%}
    normalize({{ expression }}, NFC)
{%- endmacro %}

{% macro snowflake__composed(expression) -%}
    {{ cdp.landing_function('composed') }}({{ expression }})
{%- endmacro %}

{# Spark has no such function, nor has Databricks: what came in two forms stays in two (docs/engines.md). #}
{% macro spark__composed(expression) -%}
    {{ expression }}
{%- endmacro %}

{# Lower case of every script; what engines make of the letters that have two, lower_text mends. #}
{% macro lowered(expression) -%}
    {{ return(adapter.dispatch('lowered', 'cdp')(expression)) }}
{%- endmacro %}

{% macro default__lowered(expression) -%}
    lower({{ expression }})
{%- endmacro %}

{# Under the collation "C" it would know the letters of ASCII alone. #}
{% macro postgres__lowered(expression) -%}
    lower(({{ expression }}) collate "und-x-icu") collate "C"
{%- endmacro %}

{# `body` with a name in it that stands for an expression: expressions have no variables. #}
{% macro let(name, expression, body) -%}
    {{ return(adapter.dispatch('let', 'cdp')(name, expression, body)) }}
{%- endmacro %}

{% macro default__let(name, expression, body) -%}
    (select {{ body }} from (select {{ expression }} as {{ name }}) as with_{{ name }})
{%- endmacro %}

{% macro duckdb__let(name, expression, body) -%}
    list_transform([{{ expression }}], lambda {{ name }}: {{ body }})[1]
{%- endmacro %}

{# Without the offset the planner would put the expression in each place of the name, and work it out there. #}
{% macro postgres__let(name, expression, body) -%}
    (select {{ body }} from (select {{ expression }} as {{ name }} offset 0) as with_{{ name }})
{%- endmacro %}

{% macro spark__let(name, expression, body) -%}
    transform(array({{ expression }}), {{ name }} -> {{ body }})[0]
{%- endmacro %}

{# As let, for a body that asks a relation, which no lambda may. #}
{% macro let_and_ask(name, expression, body) -%}
    {{ return(adapter.dispatch('let_and_ask', 'cdp')(name, expression, body)) }}
{%- endmacro %}

{% macro default__let_and_ask(name, expression, body) -%}
    {{ cdp.default__let(name, expression, body) }}
{%- endmacro %}

{% macro postgres__let_and_ask(name, expression, body) -%}
    {{ cdp.postgres__let(name, expression, body) }}
{%- endmacro %}

{# Whether a text contains a match of any of several patterns. #}
{% macro matches_any(expression, patterns) -%}
    {{ return(adapter.dispatch('matches_any', 'cdp')(expression, patterns)) }}
{%- endmacro %}

{% macro default__matches_any(expression, patterns) -%}
    (
        {%- for pattern in patterns -%}
        {{ cdp.matches_pattern(expression, pattern) }}{{ ' or ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}

{# One pass for all of them; those that set options of their own stay apart. #}
{% macro duckdb__matches_any(expression, patterns) -%}
    {%- set joint, single = [], [] -%}
    {%- for pattern in patterns -%}
        {%- do (single if '(?' in pattern | string else joint).append(pattern | string) -%}
    {%- endfor -%}
    {{ cdp.default__matches_any(expression, (['(' ~ joint | join(')|(') ~ ')'] if joint else []) + single) }}
{%- endmacro %}

{# PostgreSQL keeps 32 compiled patterns, and compiles the others again for every row. #}
{% macro postgres__matches_any(expression, patterns) -%}
    {{ cdp.duckdb__matches_any(expression, patterns) }}
{%- endmacro %}

{# An aggregate: texts joined with commas, in the order of an expression; null ones are left out, and
   none at all is null (or empty). #}
{% macro joined_texts(expression, order_by) -%}
    {{ return(adapter.dispatch('joined_texts', 'cdp')(expression, order_by)) }}
{%- endmacro %}

{% macro default__joined_texts(expression, order_by) -%}
    string_agg({{ expression }}, ',' order by {{ order_by }})
{%- endmacro %}

{% macro postgres__joined_texts(expression, order_by) -%}
    string_agg({{ expression }}, ',' order by {{ order_by }}) collate "C"
{%- endmacro %}

{% macro snowflake__joined_texts(expression, order_by) -%}
    listagg({{ expression }}, ',') within group (order by {{ order_by }})
{%- endmacro %}

{# Spark gathers in no order. #}
{% macro spark__joined_texts(expression, order_by) -%}
    array_join(
        transform(
            array_sort(collect_list(
                case
                    when {{ expression }} is not null
                        then named_struct('place', {{ order_by }}, 'item', {{ expression }})
                end
            )),
            each_item -> each_item.item
        ),
        ','
    )
{%- endmacro %}
