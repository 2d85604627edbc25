{# Amounts of money as strangers write them: 1234.5, "1,234.50", "$1,234.50", "1234.50 USD". #}

{# The amount in a text, in units and cents, rounded half away from zero: a plain number, or one with commas between thousands
   and a symbol or an ISO code of a currency on either side. Null where it is none: a decimal comma, words, an object, more than
   a decimal(18, 2) holds. #}
{% macro money_amount(text) -%}
    case
        when {{ cdp.is_plain_number(text) }} then {{ cdp.to_money(text) }}
        when {{ text }} <> '' then {{ cdp.let('amount_text', cdp.spelled_text(text),
            "case when " ~ cdp.is_plain_number('amount_text') ~ " then " ~ cdp.to_money('amount_text')
            ~ " when " ~ cdp.matches_pattern('amount_text', cdp.money_pattern())
            ~ " then " ~ cdp.to_money(cdp.replaced_pattern('amount_text', '[^0-9.-]', '')) ~ " end") }}
    end
{%- endmacro %}

{% macro is_plain_number(text) -%}
    {{ cdp.matches_pattern(text, '^[+-]?([0-9]{1,40}([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,2})?$') }}
{%- endmacro %}

{% macro money_pattern() -%}
    {%- set mark = '([A-Za-z]{3}|[A-Za-z]{0,3}[' ~ cdp.currency_symbols().keys() | select('string') | map('last') | unique | join ~ '])' -%}
    {{ return('^([+-]? ?' ~ mark ~ '? ?|' ~ mark ~ '? ?[+-]?)([0-9]{1,18}([.][0-9]*)?|[0-9]{1,3}(,[0-9]{3}){1,5}([.][0-9]*)?|[.][0-9]+)'
        ~ '( ?' ~ mark ~ ')?$') }}
{%- endmacro %}

{# The currencies that a symbol can mean; alone it means the first. #}
{% macro currency_symbols() -%}
    {{ return({
        '$': ['USD', 'CAD', 'AUD', 'NZD', 'SGD', 'HKD', 'TWD', 'MXN', 'ARS', 'CLP', 'COP'], 'US$': ['USD'], 'CA$': ['CAD'],
        'C$': ['CAD'], 'AU$': ['AUD'], 'A$': ['AUD'], 'NZ$': ['NZD'], 'S$': ['SGD'], 'HK$': ['HKD'], 'NT$': ['TWD'],
        'MX$': ['MXN'], 'R$': ['BRL'], '€': ['EUR'], '£': ['GBP', 'EGP'], '¥': ['JPY', 'CNY'], '₹': ['INR'], '₩': ['KRW'],
        '₽': ['RUB'], '₺': ['TRY'], '₪': ['ILS'], '₫': ['VND'], '₴': ['UAH'], '₦': ['NGN'], '₱': ['PHP'], '฿': ['THB'],
    }) }}
{%- endmacro %}

{# The ISO code of a currency's symbol, its code, or both beside each other, in capitals; null where it is none. #}
{% macro currency_code(mark) -%}
    {%- set meant = {} -%}
    {%- for symbol, codes in cdp.currency_symbols().items() -%}
        {%- for code in codes -%}
            {%- do meant.setdefault(code, []).extend([symbol ~ code, code ~ symbol] + ([symbol] if loop.first else [])) -%}
        {%- endfor -%}
    {%- endfor -%}
    case
        {% for code, marks in meant.items() -%}
        when {{ mark }} in ({{ cdp.string_literals(marks) }}) then '{{ code }}'
        {% endfor -%}
        when {{ cdp.matches_pattern(mark, '^[A-Z]{3}$') }} then {{ mark }}
    end
{%- endmacro %}

{# What stands around the number in an amount. #}
{% macro money_mark(text) -%}
    case
        when {{ cdp.is_plain_number(text) }} or {{ text }} is null then ''
        else upper({{ cdp.replaced_pattern(cdp.spelled_text(text), '[0-9., +-]', '') }})
    end
{%- endmacro %}

{# The ISO code of the currency of an amount, out of the mark in its text and the source's own word for it; USD where neither
   says. Null where they contradict each other, or where one is no currency. #}
{% macro money_currency(text, currency) -%}
    {%- set symbols = cdp.currency_symbols() -%}
    {%- set agrees -%}
        case
            when said = '' then case when mark = '' then 'USD' else {{ cdp.currency_code('mark') }} end
            when mark = '' then {{ cdp.currency_code('said') }}
            {% for symbol, codes in symbols.items() if codes | length > 1 -%}
            when mark = '{{ symbol }}' and said in ({{ cdp.string_literals(codes) }}) then said
            {% endfor -%}
            when {{ cdp.currency_code('mark') }} = {{ cdp.currency_code('said') }} then {{ cdp.currency_code('mark') }}
        end
    {%- endset -%}
    {{ cdp.let('said', "upper(coalesce(" ~ cdp.spelled_text(currency) ~ ", ''))", cdp.let('mark', cdp.money_mark(text), agrees)) }}
{%- endmacro %}

{# Whether a text is an amount that an order can have. #}
{% macro is_amount(text, currency) -%}
    ({{ cdp.money_amount(text) }} >= 0 and {{ cdp.money_currency(text, currency) }} is not null)
{%- endmacro %}

{# The first of these texts that is an amount, and its currency. #}
{% macro first_amount(texts, currency) -%}
    case
        {% for text in texts %}when {{ cdp.is_amount(text, currency) }} then {{ cdp.money_amount(text) }}
        {% endfor %}
    end
{%- endmacro %}

{% macro first_amount_currency(texts, currency) -%}
    case
        {% for text in texts %}when {{ cdp.is_amount(text, currency) }} then {{ cdp.money_currency(text, currency) }}
        {% endfor %}
    end
{%- endmacro %}

{# For unusable_fields: amounts that are none. `amounts` maps a field's name to its text; `told`: a condition under which
   they are looked at. A blank says nothing. #}
{% macro money_faults(amounts, currency, currency_field, told='') -%}
    {%- set faults = [] -%}
    {%- set stated = currency or 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
    {%- for field, text in amounts.items() -%}
        {%- set given = told ~ cdp.not_blank(text) ~ " is not null and " -%}
        {%- do faults.append({'field': field, 'reason': 'not_money', 'detail': text,
            'when': given ~ cdp.money_amount(text) ~ " is null"}) -%}
        {%- do faults.append({'field': field, 'reason': 'negative_amount', 'detail': text,
            'when': given ~ cdp.money_amount(text) ~ " < 0"}) -%}
        {%- do faults.append({'field': field, 'reason': 'currency_conflict', 'detail': text,
            'when': given ~ cdp.money_amount(text) ~ " >= 0 and " ~ cdp.money_mark(text) ~ " <> '' and "
            ~ cdp.money_currency(text, stated) ~ " is null"}) -%}
    {%- endfor -%}
    {%- if currency -%}
        {%- do faults.append({'field': currency_field, 'reason': 'not_a_currency', 'detail': currency,
            'when': told ~ cdp.not_blank(currency) ~ " is not null and "
            ~ cdp.currency_code("upper(" ~ cdp.spelled_text(currency) ~ ")") ~ " is null"}) -%}
    {%- endif -%}
    {{ return(faults) }}
{%- endmacro %}
