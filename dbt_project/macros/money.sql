{# Amounts of money as strangers write them: 1234.5, "1,234.50", "$1,234.50", "1234.50 USD". #}

{# The amount in a text, in units and cents, rounded half away from zero: a plain number, or one with commas between thousands
   and a symbol or an ISO code of a currency on either side. Null where it is none: a decimal comma, words, an object, more than
   a decimal(18, 2) holds. #}
{% macro money_amount(text) -%}
    case
        when {{ cdp.is_plain_number(text) }} then {{ cdp.to_money(text) }}
        when {{ text }} <> '' then {{ cdp.let('amount_text', cdp.spelled_text(text), cdp.amount_of_spelled('amount_text')) }}
    end
{%- endmacro %}

{% macro amount_of_spelled(text) -%}
    case
        when {{ cdp.is_plain_number(text) }} then {{ cdp.to_money(text) }}
        when {{ cdp.matches_pattern(text, cdp.money_pattern()) }} then {{ cdp.to_money(cdp.replaced_pattern(text, '[^0-9.-]', '')) }}
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

{# What stands around the number in a spelled amount, in capitals. #}
{% macro money_mark(text) -%}
    case
        when {{ cdp.is_plain_number(text) }} or {{ text }} is null then ''
        else upper({{ cdp.replaced_pattern(text, '[0-9., +-]', '') }})
    end
{%- endmacro %}

{# The ISO code of the currency of an amount, out of the mark in its text and the source's own word for it; USD where neither
   says. Null where they contradict each other, or where one is no currency. #}
{% macro money_currency(text, currency) -%}
    {{ cdp.let('said', cdp.currency_word(currency),
        cdp.let('mark', cdp.money_mark(cdp.spelled_text(text)), cdp.agreed_currency('mark', 'said'))) }}
{%- endmacro %}

{% macro currency_word(currency) -%}
    upper(coalesce({{ cdp.spelled_text(currency) }}, ''))
{%- endmacro %}

{% macro agreed_currency(mark, said) -%}
    {%- set agrees -%}
        case
            when {{ said }} = '' then case when {{ mark }} = '' then 'USD' else mark_code end
            when {{ mark }} = '' then said_code
            {% for symbol, codes in cdp.currency_symbols().items() if codes | length > 1 -%}
            when {{ mark }} = '{{ symbol }}' and {{ said }} in ({{ cdp.string_literals(codes) }}) then {{ said }}
            {% endfor -%}
            when mark_code = said_code then mark_code
        end
    {%- endset -%}
    {{ cdp.let('mark_code', cdp.currency_code(mark), cdp.let('said_code', cdp.currency_code(said), agrees)) }}
{%- endmacro %}

{# What a text says as money: 'USD 1234.50'; or what is wrong with it: not_money, negative_amount, currency_conflict. Null
   where it is blank, and where the source's word for the currency is none (which is that field's fault). Each part is worked
   out once: the statement would grow tenfold otherwise. #}
{% macro judged_money(text, currency) -%}
    {%- set verdict -%}
        case
            when amount_text = '' then null
            when amount is null or abs(amount) >= 10000000000000 then 'not_money'  -- a double holds no more to the cent
            when amount < 0 then 'negative_amount'
            else {{ cdp.let('said', cdp.currency_word(currency), cdp.let('mark', cdp.money_mark('amount_text'),
                cdp.let('code', cdp.agreed_currency('mark', 'said'),
                    "case when code is not null then code || ' ' || cast(amount as " ~ dbt.type_string() ~ ") "
                    ~ "when mark <> '' then 'currency_conflict' end"))) }}
        end
    {%- endset -%}
    {{ cdp.let('amount_text', cdp.spelled_text(text), cdp.let('amount', cdp.amount_of_spelled('amount_text'), verdict)) }}
{%- endmacro %}

{# The first of these texts that is an amount, with its currency: 'USD 1234.50'. #}
{% macro first_money(texts, currency) -%}
    coalesce(
        {% for text in texts -%}
        {{ cdp.let('judged', cdp.judged_money(text, currency), "case when judged like '% %' then judged end") }}{{ ',' if not loop.last }}
        {% endfor %}
    )
{%- endmacro %}

{% macro amount_of_money(money) -%}
    cast({{ cdp.to_money('substr(' ~ money ~ ', 5)') }} as {{ cdp.type_double() }})
{%- endmacro %}

{% macro currency_of_money(money) -%}
    substr({{ money }}, 1, 3)
{%- endmacro %}

{# For unusable_fields: amounts that are none. `amounts` maps a field's name to its text; `told`: a condition under which
   they are looked at. A blank says nothing. #}
{% macro money_faults(amounts, currency, currency_field, told='') -%}
    {%- set faults = [] -%}
    {%- set stated = currency or 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
    {%- for field, text in amounts.items() -%}
        {%- do faults.append({'field': field, 'detail': text, 'when': told ~ text ~ ' is not null',
            'reasons': cdp.let('judged', cdp.judged_money(text, stated), "case when judged not like '% %' then judged end")}) -%}
    {%- endfor -%}
    {%- if currency -%}
        {%- do faults.append({'field': currency_field, 'detail': currency, 'when': told ~ currency ~ ' is not null',
            'reasons': cdp.let('said', cdp.currency_word(currency),
                "case when said <> '' and " ~ cdp.currency_code('said') ~ " is null then 'not_a_currency' end")}) -%}
    {%- endif -%}
    {{ return(faults) }}
{%- endmacro %}
