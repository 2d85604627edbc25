{# One value out of many, and moments: null where the window emptied, or no event says the
   property. #}

{% macro min_of(event=none, property=none) -%}
{{ cdp.extreme_of('min', event, property, kwargs) }}
{%- endmacro %}

{% macro max_of(event=none, property=none) -%}
{{ cdp.extreme_of('max', event, property, kwargs) }}
{%- endmacro %}

{% macro extreme_of(function, event, property, options) -%}
{%- set of = cdp.matching(function ~ '_of', event, options, property, cdp.ordered_types()) -%}
select
    profile_id,
    {{ function }}(value) as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{% macro first_time_of(event=none) -%}
{{ cdp.time_of('first_time_of', 'min', event, kwargs) }}
{%- endmacro %}

{% macro last_time_of(event=none) -%}
{{ cdp.time_of('last_time_of', 'max', event, kwargs) }}
{%- endmacro %}

{% macro time_of(kind, function, event, options) -%}
{%- set of = cdp.matching(kind, event, options) -%}
select
    profile_id,
    {{ function }}(happened_at) as {{ of.column }}
from (
    {{ of.events }}
) as matching
group by profile_id
{%- endmacro %}

{# Of the events that say the property, what the first or last one says; of one moment, the one that
   arrived first or last. #}
{% macro first_value_of(event=none, property=none) -%}
{{ cdp.value_at_end('first_value_of', 'asc', event, property, kwargs) }}
{%- endmacro %}

{% macro last_value_of(event=none, property=none) -%}
{{ cdp.value_at_end('last_value_of', 'desc', event, property, kwargs) }}
{%- endmacro %}

{% macro value_at_end(kind, direction, event, property, options) -%}
{%- set of = cdp.matching(kind, event, options, property, cdp.property_types() | list) -%}
select
    profile_id,
    value as {{ of.column }}
from (
    select
        profile_id,
        value,
        row_number() over (
            partition by profile_id
            order by
                case when value is null then 1 else 0 end,
                happened_at {{ direction }},
                arrival {{ direction }}
        ) as place
    from (
        {{ of.events }}
    ) as matching
) as ranked
where place = 1
{%- endmacro %}

{# Of equals the smallest, which is the alphabetically first; null where it came less than
   `at_least` times. #}
{% macro most_frequent_of(event=none, property=none, at_least=1) -%}
{%- set least = cdp.whole_from_one('most_frequent_of', 'at_least', at_least) -%}
{%- set of = cdp.matching('most_frequent_of', event, kwargs, property, cdp.scalar_types()) -%}
select
    profile_id,
    case when times >= {{ least }} then value end as {{ of.column }}
from (
    select
        profile_id,
        value,
        times,
        row_number() over (partition by profile_id order by times desc, value asc) as place
    from (
        select
            profile_id,
            value,
            count(value) as times
        from (
            {{ of.events }}
        ) as matching
        group by profile_id, value
    ) as counted
) as ranked
where place = 1
{%- endmacro %}
