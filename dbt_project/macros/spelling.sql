{# How an identifier is spelled, so that one text has one spelling. Its twin for what Python asks is
   cdp_orchestration/identity/spelling.py; tests/identity/test_identity_spelling.py holds both of them, on both engines, to each other. #}

{# A value as its type spells it. `plain` is a condition under which the value is known to need no care (`is_plain` of
   explode_identifiers), so that the many values of that kind cost nothing. #}
{% macro spelled_identifier(type, value, plain=none) -%}
    {%- set kinds = {'lower': [], 'email': [], 'phone': []} -%}
    {%- for name, rule in var('identity')['identifiers'].items() if rule.get('normalise') in kinds -%}
        {%- do kinds[rule['normalise']].append(name) -%}
    {%- endfor -%}
    {%- set lowered = kinds['lower'] + kinds['email'] -%}
    case
        {% if plain and lowered -%}
        when {{ plain }} and {{ type }} in ({{ cdp.string_literals(lowered) }}) then lower({{ value }})
        {% endif -%}
        {% for kind in ['lower', 'email', 'phone'] if kinds[kind] -%}
        when {{ type }} in ({{ cdp.string_literals(kinds[kind]) }}) then {{ cdp.spelled_as(kind, value) }}
        {% endfor -%}
        {% if plain -%}
        when {{ plain }} then {{ value }}
        {% endif -%}
        else {{ cdp.spelled_text(value) }}
    end
{%- endmacro %}

{# kind: lower, email, phone, or none of them. #}
{% macro spelled_as(kind, value) -%}
    {%- if kind == 'email' -%}
    {{ cdp.spelled_email(value) }}
    {%- elif kind == 'phone' -%}
    {{ cdp.spelled_phone(value) }}
    {%- elif kind == 'lower' -%}
    case
        when not {{ cdp.matches_pattern(value, '[^!-~]') }} then lower({{ value }})
        else {{ cdp.let('lower_text', cdp.spelled_text(value), cdp.lower_text('lower_text')) }}
    end
    {%- else -%}
    {{ cdp.spelled_text(value) }}
    {%- endif -%}
{%- endmacro %}

{# Any text: what has no width goes, wherever it stands; every blank is a plain one, and goes at the ends; the width of
   characters goes; what is written in several ways (é as one character or as two) has one form. #}
{% macro spelled_text(value) -%}
    case
        when not {{ cdp.matches_pattern(value, '[^!-~]') }} then {{ value }}
        when {{ cdp.is_ascii(value) }} then {{ cdp.plain_blanks(cdp.visible(value)) }}
        else {{ cdp.plain_blanks(cdp.composed(cdp.narrow(cdp.visible(value)))) }}
    end
{%- endmacro %}

{# A spelled text in lower case, the same on every engine. Engines differ where one letter has two lower ones: the dotted
   I of Turkish is i here, with its dot or without, and the sigma that ends a word is a sigma. #}
{% macro lower_text(value) -%}
    case
        when {{ cdp.is_ascii(value) }} then lower({{ value }})
        else replace({{ cdp.composed("translate(" ~ cdp.lowered("replace(" ~ value ~ ", 'İ', 'i')") ~ ", 'ς', 'σ')") }}, 'i̇', 'i')
    end
{%- endmacro %}

{# An e-mail address in lower case, out of what programs wrap it in: quotes, a name before <it>, mailto:it?subject=... #}
{% macro spelled_email(value) -%}
    {%- set address = namespace(sql=cdp.lower_text('email_text')) -%}
    {%- for pattern, by in [
        ("^'(.*)'$", '\\1'), ('^"([^"]*)"$', '\\1'), ('^[^<>]*<([^<>]*)>$', '\\1'), ('^ *mailto:([^?]*)([?].*)?$', '\\1'),
    ] -%}
        {%- set address.sql = cdp.replaced_pattern(address.sql, pattern, by) -%}
    {%- endfor -%}
    case
        when not {{ cdp.matches_pattern(value, "[^!-~]|[<\"':]") }} then lower({{ value }})
        else {{ cdp.let('email_text', cdp.spelled_text(value), 'trim(' ~ address.sql ~ ')') }}
    end
{%- endmacro %}

{# A phone number as E.164 digits, without the plus, from digits of any script: punctuation, tel: and a spreadsheet's
   apostrophe go, and its .0; 00 is a plus; a trunk 0 gives way to the calling code of `vars: identity: calling_code`
   (without one it stays). A bare number is taken as it is. What is no number stays as it is, and identifies nobody. #}
{% macro spelled_phone(value) -%}
    {%- set calling_code = var('identity').get('calling_code') or '' -%}
    {%- set digits = namespace(sql=cdp.ascii_digits('phone_text')) -%}
    {%- set steps = [
        ("^['’`´]*([Tt][Ee][Ll]:)? *", ''),
        ('^([+]?[0-9]{7,})[.]0+$', '\\1'),
        ('^([ (]*([+]|00).*)[(] *0 *[)]', '\\1'),
        ('[\\]\\[ ()./{}_' ~ cdp.code_points(cdp.separators()) ~ '-]+', ''),
    ] + ([('^0([1-9])', calling_code ~ '\\1')] if calling_code else []) + [('^([+]?00|[+])', '')] -%}
    {%- for pattern, by in steps -%}
        {%- set digits.sql = cdp.replaced_pattern(digits.sql, pattern, by) -%}
    {%- endfor -%}
    case
        when {{ cdp.matches_pattern(value, '^[+]?[1-9][0-9]*$') }} then replace({{ value }}, '+', '')
        else {{ cdp.let('phone_text', cdp.spelled_text(value), cdp.let('phone_digits', digits.sql,
            'case when ' ~ cdp.matches_pattern('phone_digits', '^[0-9]+$') ~ ' then phone_digits else phone_text end')) }}
    end
{%- endmacro %}

{# ---- Characters, as ranges of code points. ---- #}

{# What Unicode calls White_Space, and the empty Braille pattern, which looks like one, as blanks; none at the ends. #}
{% macro blanks() -%}
    {{ return([(0x09, 0x0d), (0x20, 0x20), (0x85, 0x85), (0xa0, 0xa0), (0x1680, 0x1680), (0x2000, 0x200a), (0x2028, 0x2029),
        (0x202f, 0x202f), (0x205f, 0x205f), (0x2800, 0x2800), (0x3000, 0x3000)]) }}
{%- endmacro %}

{% macro plain_blanks(value) -%}
    trim({{ cdp.replaced_pattern(value, '[' ~ cdp.code_points(cdp.blanks()) ~ ']', ' ') }})
{%- endmacro %}

{# Without what has no width: controls, soft hyphens, joiners, marks of direction, fillers, selectors of variants, tags. #}
{% macro invisible() -%}
    {{ return([(0x01, 0x08), (0x0e, 0x1f), (0x7f, 0x84), (0x86, 0x9f), (0xad, 0xad), (0x34f, 0x34f), (0x61c, 0x61c),
        (0x115f, 0x1160), (0x17b4, 0x17b5), (0x180b, 0x180f), (0x200b, 0x200f), (0x202a, 0x202e), (0x2060, 0x206f), (0x3164, 0x3164),
        (0xfe00, 0xfe0f), (0xfeff, 0xfeff), (0xffa0, 0xffa0), (0xfff0, 0xfffb), (0x1bca0, 0x1bca3), (0x1d173, 0x1d17a),
        (0xe0000, 0xe0fff)]) }}
{%- endmacro %}

{% macro visible(value) -%}
    {{ cdp.replaced_pattern(value, '[' ~ cdp.code_points(cdp.invisible()) ~ ']', '') }}
{%- endmacro %}

{# What parts the digits of a phone number beside the signs of ASCII: hyphens, dashes and dots. #}
{% macro separators() -%}
    {{ return([(0xb7, 0xb7), (0x58a, 0x58a), (0x5be, 0x5be), (0x2010, 0x2015), (0x2022, 0x2022), (0x2024, 0x2024), (0x2027, 0x2027),
        (0x2043, 0x2043), (0x2212, 0x2212), (0x2e3a, 0x2e3b), (0x301c, 0x301c), (0x3030, 0x3030), (0x30fb, 0x30fc)]) }}
{%- endmacro %}

{# Characters of full, half and small width in their usual one. Half-wide sound marks become combining ones. Ligatures of
   typesetting fall apart. #}
{% macro narrow(value) -%}
    {%- set given, usual = [], [] -%}
    {%- for place in range(94) if place != 26 -%}
        {%- do given.append('%c' | format(0xff01 + place)) -%}{%- do usual.append('%c' | format(0x21 + place)) -%}
    {%- endfor -%}
    {%- for first, last, start in [(0xff5f, 0xff60, 0x2985), (0xffa1, 0xffbe, 0x3131), (0xffc2, 0xffc7, 0x314f),
            (0xffca, 0xffcf, 0x3155), (0xffd2, 0xffd7, 0x315b), (0xffda, 0xffdc, 0x3161)] -%}
        {%- for place in range(last - first + 1) -%}
            {%- do given.append('%c' | format(first + place)) -%}{%- do usual.append('%c' | format(start + place)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do given.append('｡｢｣､･ｦｧｨｩｪｫｬｭｮｯｰｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝ\uff9e\uff9f￠￡￢￣￤￥￦￨￩￪￫￬￭￮') -%}
    {%- do usual.append('。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\u3099\u309a¢£¬¯¦¥₩│←↑→↓■○') -%}
    {%- do given.append('﹐﹑﹒﹕﹖﹗﹘﹙﹚﹛﹜﹝﹞﹟﹠﹡﹢﹣﹤﹥﹦﹨﹩﹪﹫') -%}
    {%- do usual.append(',、.:?!—(){}〔〕#&*+-<>=\\$%@') -%}
    {%- set apart = namespace(sql='translate(' ~ value ~ ', ' ~ cdp.text_literal(given | join) ~ ', ' ~ cdp.text_literal(usual | join) ~ ')') -%}
    {%- for ligature, letters in [('ﬀ', 'ff'), ('ﬁ', 'fi'), ('ﬂ', 'fl'), ('ﬃ', 'ffi'), ('ﬄ', 'ffl'), ('ﬅ', 'st'), ('ﬆ', 'st')] -%}
        {%- set apart.sql = "replace(" ~ apart.sql ~ ", '" ~ ligature ~ "', '" ~ letters ~ "')" -%}
    {%- endfor -%}
    {#- A semicolon in a literal would end the statement for clients that cut texts into statements. -#}
    {{ return("replace(replace(" ~ apart.sql ~ ", '；', chr(59)), '﹔', chr(59))") }}
{%- endmacro %}

{# Decimal digits of every script as 0 to 9: the zeroes of Unicode 14. #}
{% macro ascii_digits(value) -%}
    {%- set given, usual = [], [] -%}
    {%- for zero in [0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
            0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900,
            0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
            0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2,
            0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0] -%}
        {%- for digit in range(10) -%}
            {%- do given.append('%c' | format(zero + digit)) -%}{%- do usual.append(digit | string) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return('case when ' ~ cdp.is_ascii(value) ~ ' then ' ~ value ~ ' else translate(' ~ value ~ ", '" ~ given | join ~ "', '"
        ~ usual | join ~ "') end") }}
{%- endmacro %}
