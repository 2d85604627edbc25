{# What identifies nobody: the block lists of `vars: identity`, and what a type cannot hold. #}

{# The name of the rule that keeps a value from identifying anybody; null where none does. The value is spelled already. #}
{% macro blocking_rule(type, value) -%}
    {{ cdp.let('low', cdp.lower_text(value), cdp.rule_for(type, value)) }}
{%- endmacro %}

{# What an e-mail or phone trait says, spelled as an identifier is; null where identity would block it: a blank, a
   placeholder, an unfilled template, no address, no number. type: email or phone. Give it a column, which it names often. #}
{% macro contact_value(type, expression) -%}
    {{ cdp.let('contact', cdp.spelled_as(type, expression), cdp.let('low', cdp.lower_text('contact'),
        'case when ' ~ cdp.rule_for("'" ~ type ~ "'", 'contact', holds=type) ~ ' is null then contact end')) }}
{%- endmacro %}

{# `low` stands for the value in lower case. holds: what a value of any type must be, instead of what its own type says. #}
{% macro rule_for(type, value, holds=none) -%}
    {%- set rules = var('identity') -%}
    {%- set patterns = rules.get('blocked_patterns') or [] -%}
    {%- set lists = [] -%}
    {%- for name, values in (rules.get('blocked') or {}).items() if values and holds in (none, name) -%}
        {%- do lists.append((type ~ " = '" ~ name ~ "' and ", values, 'blocked_for_' ~ name)) -%}
    {%- endfor -%}
    {%- if rules.get('blocked_values') -%}{%- do lists.append(('', rules['blocked_values'], 'blocked_value')) -%}{%- endif -%}
    {%- set kinds = {'email': [], 'phone': []} -%}
    {%- for name, rule in rules['identifiers'].items() if rule.get('normalise') in kinds -%}
        {%- do kinds[rule['normalise']].append(name) -%}
    {%- endfor -%}
    case
        {% if not holds -%}
        when {{ type }} is null or {{ type }} not in ({{ cdp.identifier_types() }}) then 'undeclared_type'
        {% endif -%}
        when {{ value }} = '' then 'blocked_value'
        {% for of_type, values, rule in lists -%}
        when {{ of_type }}low in ({{ cdp.blocked_literals(values) }}) then '{{ rule }}'
        {% endfor -%}
        {% if patterns -%}
        when {{ cdp.matches_any('low', patterns) }} then 'blocked_pattern'
        {% endif -%}
        else coalesce(
            case
                when {{ cdp.matches_pattern('low', '^[^a-z0-9]|[^a-z0-9]$|^(optional|some)[(]') }}
                    then {{ cdp.let('bare', cdp.unwrapped('low'), cdp.rule_for_bare(lists, patterns)) }}
            end,
            case
                {% for kind, types in kinds.items() if holds == kind or (types and not holds) -%}
                when {% if not holds %}{{ type }} in ({{ cdp.string_literals(types) }}) and {% endif %}not ({{ cdp.fits(kind, value) }})
                    then '{{ {'email': 'not_an_email', 'phone': 'not_a_phone'}[kind] }}'
                {% endfor -%}
                when {{ value }} is null then null
            end
        )
    end
{%- endmacro %}

{# Quotes and brackets around a blocked value are the blocked value. `bare` stands for what is inside of all of them. #}
{% macro rule_for_bare(lists, patterns) -%}
    case
        when bare = '' then 'blocked_value'
        {% for of_type, values, rule in lists -%}
        when {{ of_type }}bare in ({{ cdp.blocked_literals(values, bare=true) }}) then '{{ rule }}'
        {% endfor -%}
        {% if patterns -%}
        when {{ cdp.matches_any('bare', patterns) }} then 'blocked_pattern'
        {% endif -%}
    end
{%- endmacro %}

{# A text in lower case without the quotes, brackets and blanks around it, however deep; quotes may be escaped, and Swift and
   Rust write Optional(nil), Some(null). #}
{% macro unwrapped(value) -%}
    {%- set wrapping = ' |\\\\*[' ~ cdp.wrappings() ~ ']' -%}
    {{ cdp.replaced_pattern(value, '^(' ~ wrapping ~ '|(optional|some)[(])+|(' ~ wrapping ~ ')+$', '') }}
{%- endmacro %}

{% macro wrappings() -%}
    {{ return('"\'`´“”„‟‘’‚‛«»‹›「」『』〈〉《》【】〔〕(){}<>\\[\\]') }}
{%- endmacro %}

{# Whether a spelled value is one that its kind can hold. An address is something on both sides of an @, without blanks, and
   one address, not a list. A phone number has 7 to 15 digits: E.164 allows no more, and a shorter one is a town's or
   everybody's (911); one digit, repeated, is nobody's. #}
{% macro fits(kind, value) -%}
    {%- if kind == 'email' -%}
    {{ cdp.matches_pattern(value, '^("[^"]+"|[^ @<>(),;:"\\\\]+)@([^ @<>(),;:"\\\\\\[\\]]+|\\[[0-9a-f:.]+\\])$') }}
    {%- else -%}
    {{ cdp.matches_pattern(value, '^[0-9]{7,15}$') }} and replace({{ value }}, substr({{ value }}, 1, 1), '') <> ''
    {%- endif -%}
{%- endmacro %}

{# Values of a block list as literals in lower case; `bare`: what is inside of their brackets, too. #}
{% macro blocked_literals(values, bare=false) -%}
    {%- set literals = [] -%}
    {%- for value in values -%}
        {%- set text = value | string | trim | lower -%}
        {%- for each in [text] + ([text.strip(' "\'`()[]{}<>')] if bare else []) if cdp.text_literal(each) not in literals -%}
            {%- do literals.append(cdp.text_literal(each)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for literal in literals -%}
        {{ literal if literal.isascii() else cdp.let('word', cdp.spelled_text(literal), cdp.lower_text('word')) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
