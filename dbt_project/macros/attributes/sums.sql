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
   Powers may differ between engines in the last place, so the sum has six. The kept part is the sum
   at the end of the half-life that as_of lies in: half-lives are counted from 1970 on, so that it
   does not matter when it was worked out.
   (After 200 half-lives nothing is left, and a power of more may be too small for a number.) #}
{% macro decayed_sum_of(event=none, property=none, half_life_days=none) -%}
{%- set life = cdp.whole_from_one('decayed_sum_of', 'half_life_days', half_life_days) -%}
{%- set types = cdp.number_types() if property else [] -%}
{%- set of = cdp.matching(
    'decayed_sum_of', event, kwargs, property, types, part={'period_days': life}
) -%}
{%- set counts = 'value' if property else 'case when happened_at is not null then 1 end' -%}
{%- set ends = '(floor(' ~ cdp.lives_since_1970(cdp.as_of(), life) ~ ') + 1)' -%}
{%- set left = 'least(' ~ ends ~ ' - ' ~ cdp.lives_since_1970('happened_at', life) ~ ', 200)' -%}
{%- set since = ends ~ ' - ' ~ cdp.lives_since_1970(cdp.as_of(), life) -%}
{%- set now = cdp.from_exact('amount') ~ ' * power(cast(2 as ' ~ cdp.type_double() ~ '), ' ~ since
    ~ ')' -%}
{%- set summed -%}
select
    profile_id,
    sum({{ cdp.to_exact('counts_then') }}) as amount
from (
    select
        profile_id,
        {{ counts }} * power(cast(0.5 as {{ cdp.type_double() }}), {{ left }}) as counts_then
    from (
        {{ of.events }}
    ) as matching
) as aged
group by profile_id
{%- endset -%}
select
    profile_id,
    coalesce({{ cdp.from_exact('round(' ~ cdp.to_exact(now) ~ ', 6)') }}, 0) as {{ of.column }}
from (
{{ cdp.kept_part(summed) }}
) as summed
{%- endmacro %}

{% macro lives_since_1970(moment, life) -%}
    {{ cdp.seconds_between(cdp.timestamp_literal('1970-01-01'), moment) }} / {{ 86400 * life }}
{%- endmacro %}
