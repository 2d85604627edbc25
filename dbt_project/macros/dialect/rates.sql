{# Rates of exchange by day: a join that finds for each row the latest one on or before its day. #}

{# All columns of a relation or CTE and, for each of `rates`, {new column: [currency, moment]}, what one unit of that currency was
   worth in the base currency that day (a decimal): 1 for the base itself, null where there is no rate. The relation is named
   once, so that a filter on it reaches what it reads. #}
{% macro with_rates(source_sql, rates) -%}
    {{ return(adapter.dispatch('with_rates', 'cdp')(source_sql, rates)) }}
{%- endmacro %}

{% macro default__with_rates(source_sql, rates) -%}
select
    records.*{{ cdp.rate_columns(rates) }}
from {{ source_sql }} as records
{% for name, (currency, moment) in rates.items() -%}
left join (
    select
        rate_currency,
        rate_day,
        rate_value,
        lead(rate_day) over (partition by rate_currency order by rate_day asc) as next_day
    from {{ cdp.usable_rates() }} as listed
) as found_{{ loop.index }}
    on
        found_{{ loop.index }}.rate_currency = {{ currency }}
        and found_{{ loop.index }}.rate_day <= {{ moment }}
        and ({{ moment }} < found_{{ loop.index }}.next_day or found_{{ loop.index }}.next_day is null)
{% endfor %}
{%- endmacro %}

{% macro duckdb__with_rates(source_sql, rates) -%}
select
    records.*{{ cdp.rate_columns(rates) }}
from {{ source_sql }} as records
{% for name, (currency, moment) in rates.items() -%}
asof left join {{ cdp.usable_rates() }} as found_{{ loop.index }}
    on found_{{ loop.index }}.rate_currency = {{ currency }} and found_{{ loop.index }}.rate_day <= {{ moment }}
{% endfor %}
{%- endmacro %}

{% macro postgres__with_rates(source_sql, rates) -%}
select
    records.*{{ cdp.rate_columns(rates) }}
from {{ source_sql }} as records
{% for name, (currency, moment) in rates.items() -%}
left join lateral (
    select listed.rate_value
    from {{ cdp.usable_rates() }} as listed
    where listed.rate_currency = {{ currency }} and listed.rate_day <= {{ moment }}
    order by listed.rate_day desc
    limit 1
) as found_{{ loop.index }} on {{ currency }} <> {{ cdp.text_literal(cdp.base_currency()) }}
{% endfor %}
{%- endmacro %}

{% macro rate_columns(rates) -%}
    {% for name, (currency, moment) in rates.items() %},
    case
        when {{ currency }} = {{ cdp.text_literal(cdp.base_currency()) }} then cast(1 as {{ cdp.type_rate() }})
        else found_{{ loop.index }}.rate_value
    end as {{ name }}{% endfor %}
{%- endmacro %}

{# The seed's rates as decimals and moments. Of a day that is there twice the larger rate counts; one that is not above 0 is
   none. #}
{% macro usable_rates() -%}
    (
        select
            upper(trim(rates.currency)) as rate_currency,
            cast(rates.day as {{ dbt.type_timestamp() }}) as rate_day,
            max(cast(rates.rate as {{ cdp.type_rate() }})) as rate_value
        from {{ ref('exchange_rates') }} as rates
        where rates.rate > 0
        group by upper(trim(rates.currency)), cast(rates.day as {{ dbt.type_timestamp() }})
    )
{%- endmacro %}

{% macro type_amount() -%}
    {{ return('numeric' if target.type == 'bigquery' else 'decimal(18, 2)') }}
{%- endmacro %}

{% macro type_rate() -%}
    {{ return(adapter.dispatch('type_rate', 'cdp')()) }}
{%- endmacro %}

{% macro default__type_rate() -%}
    decimal(18, 9)
{%- endmacro %}

{% macro bigquery__type_rate() -%}
    numeric
{%- endmacro %}

{# 'EUR 12.50' (as first_money gives it) in dollars at such a rate; null without one, and where the base is another currency. #}
{% macro usd_of_money(money, rate) -%}
    case
        when {{ money }} like 'USD %' then {{ cdp.amount_of_money(money) }}
        {% if cdp.base_currency() == 'USD' -%}
        when {{ rate }} is not null then {{ cdp.amount_at_rate(cdp.to_money('substr(' ~ money ~ ', 5)'), rate) }}
        {% endif -%}
    end
{%- endmacro %}

{# An amount (a decimal) at such a rate, in cents, as a double. Decimals, so that a half cent rounds alike everywhere. #}
{% macro amount_at_rate(amount, rate) -%}
    cast(round({{ amount }} * {{ rate }}, 2) as {{ cdp.type_double() }})
{%- endmacro %}

{% macro base_currency() -%}
    {{ return(var('base_currency', 'USD') | string | upper) }}
{%- endmacro %}
