{# Whole scores from 0 to 100 that fade as time goes by: they change with the clock, not with what
   other people do. #}

{# How lately: 100 for right now, half of that after each `half_life_days` since the last event; 0
   where the window emptied. #}
{% macro recency_decay_of(event=none, half_life_days=none) -%}
{%- set life = cdp.whole_from_one('recency_decay_of', 'half_life_days', half_life_days) -%}
{%- set of = cdp.matching('recency_decay_of', event, kwargs) -%}
select
    profile_id,
    {{ cdp.whole_score(cdp.faded('max(happened_at)', life)) }} as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{# How often, of late: 50 for one event right now, 75 for two, 88 for three, where an event counts
   half after each `half_life_days`; 0 where the window emptied. #}
{% macro frequency_decay_of(event=none, half_life_days=none) -%}
{%- set life = cdp.whole_from_one('frequency_decay_of', 'half_life_days', half_life_days) -%}
{%- set of = cdp.matching('frequency_decay_of', event, kwargs) -%}
select
    profile_id,
    {{ cdp.whole_score(
        '1 - power(cast(0.5 as ' ~ cdp.type_double() ~ '), least(times, 200))'
    ) }} as {{ of.column }}
from (
    select
        profile_id,
        coalesce({{ cdp.exact_sum('counts_now') }}, 0) as times
    from (
        select
            profile_id,
            case when happened_at is not null then {{ cdp.faded('happened_at', life) }} end
                as counts_now
        from (
            {{ of.events }}
        ) as matching
    ) as aged
    group by profile_id
) as counted
{%- endmacro %}

{# What is left of 1 at as_of: half after each `half_life_days`. (After 200 half-lives nothing is,
   and a power of more may be too small for a number.) #}
{% macro faded(moment, half_life_days) -%}
    {%- set age = cdp.seconds_between(moment, cdp.as_of()) -%}
    power(
        cast(0.5 as {{ cdp.type_double() }}), least({{ age }} / {{ 86400 * half_life_days }}, 200)
    )
{%- endmacro %}

{# A share from 0 to 1 as a whole number from 0 to 100; 0 for none. #}
{% macro whole_score(share) -%}
    cast(floor(100 * coalesce({{ share }}, 0) + 0.5) as {{ dbt.type_bigint() }})
{%- endmacro %}
