{# How often, how many, in how many visits: 0 where the window emptied. #}

{% macro count_of(event=none) -%}
{%- set of = cdp.matching('count_of', event, kwargs) -%}
select
    profile_id,
    cast(count(happened_at) as {{ dbt.type_bigint() }}) as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{# How many different values. #}
{% macro unique_count_of(event=none, property=none) -%}
{%- set of = cdp.matching('unique_count_of', event, kwargs, property, cdp.scalar_types()) -%}
select
    profile_id,
    cast(count(distinct value) as {{ dbt.type_bigint() }}) as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{# Visits: what follows on the event before within `gap_minutes` belongs to the same one. `sources`:
   whose messages are a person's own activity. #}
{% macro sessions_of(event=none, gap_minutes=30) -%}
{%- set gap = cdp.whole_from_one('sessions_of', 'gap_minutes', gap_minutes) -%}
{%- set options = dict(kwargs) -%}
{%- if not event and not options.get('types') -%}
    {%- do options.update({'types': ['page', 'screen', 'track']}) -%}
{%- endif -%}
{%- set of = cdp.matching('sessions_of', event, options, more=['sources']) -%}
{%- set last_moment = cdp.plus('previous_at', seconds=60 * gap) -%}
select
    profile_id,
    cast(count(
        case
            when previous_at is null or happened_at > {{ last_moment }} then happened_at
        end
    ) as {{ dbt.type_bigint() }}) as {{ of.column }}
from (
    select
        profile_id,
        happened_at,
        lag(happened_at) over (partition by profile_id order by happened_at) as previous_at
    from (
        {{ of.events }}
    ) as matching
) as followed
group by profile_id
{%- endmacro %}
