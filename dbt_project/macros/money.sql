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
            when {{ said }} = '' then mark_code
            when odd_mark = '' then said_code
            {% for symbol, codes in cdp.currency_symbols().items() if codes | length > 1 -%}
            when odd_mark = '{{ symbol }}' and {{ said }} in ({{ cdp.string_literals(codes) }}) then {{ said }}
            {% endfor -%}
            when mark_code = said_code then mark_code
        end
    {%- endset -%}
    -- Most amounts are plain numbers, and most currencies three letters: nothing to look up.
    case
        when {{ mark }} = '' and {{ said }} = '' then 'USD'
        when {{ mark }} = '' and {{ cdp.matches_pattern(said, '^[A-Z]{3}$') }} then {{ said }}
        else {{ cdp.let('odd_mark', mark,
            cdp.let('mark_code', cdp.currency_code('odd_mark'), cdp.let('said_code', cdp.currency_code(said), agrees))) }}
    end
{%- endmacro %}

{# What a text says as money: 'USD 1234.50'; or what is wrong with it: not_money, negative_amount, currency_conflict. Null
   where it is blank, and where the source's word for the currency is none (which is that field's fault). Each part is worked
   out once: the statement would grow tenfold otherwise. `currency` is that word, or null. #}
{% macro judged_money(text, currency) -%}
    {{ cdp.let('said', cdp.currency_word(currency or 'cast(null as ' ~ dbt.type_string() ~ ')'), cdp.judged_amount(text, 'said')) }}
{%- endmacro %}

{# `said` is a column: the word in capitals, '' where there is none. #}
{% macro judged_amount(text, said) -%}
    {%- set verdict -%}
        case
            when amount_text = '' then null
            when amount is null or abs(amount) >= 10000000000000 then 'not_money'  -- a double holds no more to the cent
            when amount < 0 then 'negative_amount'
            else {{ cdp.let('mark', cdp.money_mark('amount_text'), cdp.let('code', cdp.agreed_currency('mark', said),
                "case when code is not null then code || ' ' || cast(amount as " ~ dbt.type_string() ~ ") "
                ~ "when mark <> '' then 'currency_conflict' end")) }}
        end
    {%- endset -%}
    {{ cdp.let('amount_text', cdp.spelled_text(text), cdp.let('amount', cdp.amount_of_spelled('amount_text'), verdict)) }}
{%- endmacro %}

{# All columns of a relation or CTE and what its texts say as money, as judged_money says it. `amounts`: {new column: text};
   `when`: a condition under which they are looked at. #}
{% macro with_judged_money(source_sql, amounts, currency, when='true') -%}
    {{ return(adapter.dispatch('with_judged_money', 'cdp')(source_sql, amounts, currency, when)) }}
{%- endmacro %}

{% macro default__with_judged_money(source_sql, amounts, currency, when) -%}
select
    records.*,
    {% for name, text in amounts.items() -%}
    case when {{ when }} and {{ text }} is not null then {{ cdp.judged_money(text, currency) }} end as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as records
{%- endmacro %}

{# Most amounts are plain numbers in a currency of three letters. The others are judged in one expression for all of the texts:
   it takes long to plan. #}
{% macro duckdb__with_judged_money(source_sql, amounts, currency, when) -%}
{%- set word = currency or 'cast(null as varchar)' -%}
{%- set judged = 'list_transform([' ~ amounts.values() | join(', ') ~ "], lambda money_text: case when money_text <> '' then "
    ~ cdp.judged_amount('money_text', 'said') ~ ' end)' -%}
select
    * exclude (usual_money, unusual_money),
    {% for name in amounts -%}
    coalesce(usual_money[{{ loop.index }}], unusual_money[{{ loop.index }}]) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from (
    select
        *,
        case
            when {{ when }} and (
                {%- for text in amounts.values() %}({{ text }} <> '' and usual_money[{{ loop.index }}] is null){{ ' or ' if not loop.last }}{% endfor -%}
            ) then {{ cdp.let('said', cdp.currency_word(word), judged) }}
        end as unusual_money
    from (
        select
            *,
            case when {{ when }} and ({{ word }} is null or {{ cdp.matches_pattern(word, '^[A-Z]{3}$') }}) then [
                {% for text in amounts.values() -%}
                case
                    when {{ cdp.is_plain_number(text) }} and {{ cdp.to_money(text) }} >= 0 and {{ cdp.to_money(text) }} < 10000000000000
                        then coalesce({{ word }}, 'USD') || ' ' || cast({{ cdp.to_money(text) }} as varchar)
                end{{ ',' if not loop.last }}
                {% endfor %}
            ] end as usual_money
        from {{ source_sql }} as records
    ) as read_fast
) as judged
{%- endmacro %}

{# The first of these columns (as with_judged_money gives them) that holds an amount with its currency: 'USD 1234.50'. #}
{% macro first_money(judged) -%}
    coalesce(
        {% for column in judged -%}
        {{ cdp.let('judged', column, "case when judged like '% %' then judged end") }}{{ ',' if not loop.last }}
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
   they are looked at; `judged` maps it to the column that with_judged_money gave. A blank says nothing. #}
{% macro money_faults(amounts, currency, currency_field, told='', judged={}) -%}
    {%- set faults = [] -%}
    {%- for field, text in amounts.items() -%}
        {%- set verdict = judged[field] if field in judged else cdp.judged_money(text, currency) -%}
        {%- do faults.append({'field': field, 'detail': text, 'when': told ~ text ~ ' is not null',
            'reasons': cdp.let('judged', verdict, "case when judged not like '% %' then judged end")}) -%}
    {%- endfor -%}
    {%- if currency -%}
        {%- do faults.append({'field': currency_field, 'detail': currency, 'when': told ~ currency ~ ' is not null',
            'reasons': cdp.let('said', cdp.currency_word(currency),
                "case when said <> '' and " ~ cdp.currency_code('said') ~ " is null then 'not_a_currency' end")}) -%}
    {%- endif -%}
    {{ return(faults) }}
{%- endmacro %}
