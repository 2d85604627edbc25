{# Sums and averages. They are made of decimals with nine places (to_exact), so that they are the
   same in whatever order the rows come, on every engine. #}

{# 0 where the window emptied, or nobody said the property. #}
{% macro sum_of(event=none, property=none) -%}
{%- set of = cdp.matching('sum_of', event, kwargs, property, cdp.number_types()) -%}
select
    profile_id,
    coalesce({{ cdp.exact_sum('value') }}, 0) as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{# Of the events that say the property; null where none in the window does. #}
{% macro average_of(event=none, property=none) -%}
{%- set of = cdp.matching('average_of', event, kwargs, property, cdp.number_types()) -%}
select
    profile_id,
    {{ cdp.exact_sum('value') }} / nullif(count({{ cdp.to_exact('value') }}), 0) as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{# A sum (or a count, without a property) in which an event counts half after each `half_life_days`.
   Powers may differ between engines in the last place, so the sum has six.
   (After 200 half-lives nothing is left, and a power of more may be too small for a number.) #}
{% macro decayed_sum_of(event=none, property=none, half_life_days=none) -%}
{%- set life = cdp.whole_from_one('decayed_sum_of', 'half_life_days', half_life_days) -%}
{%- set types = cdp.number_types() if property else [] -%}
{%- set of = cdp.matching('decayed_sum_of', event, kwargs, property, types) -%}
{%- set age = cdp.seconds_between('happened_at', cdp.as_of()) -%}
{%- set lives = 'least(' ~ age ~ ' / ' ~ 86400 * life ~ ', 200)' -%}
select
    profile_id,
    coalesce(
        {{ cdp.from_exact('round(sum(' ~ cdp.to_exact('counts_now') ~ '), 6)') }}, 0
    ) as {{ of.column }}
from (
    select
        profile_id,
        {{ 'value' if property else 'case when happened_at is not null then 1 end' }}
        * power(cast(0.5 as {{ cdp.type_double() }}), {{ lives }}) as counts_now
    from (
        {{ of.events }}
    ) as matching
) as aged
group by profile_id
{%- endmacro %}
