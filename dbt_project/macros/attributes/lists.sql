{# Lists and maps, as JSON text: empty ([] and {}) where the window emptied. #}

{# The different values in alphabetical order (numbers by size). Of more than `capacity` those seen
   first stay; of one moment the alphabetically first. #}
{% macro unique_list_of(event=none, property=none, capacity=100) -%}
{%- set room = cdp.whole_from_one('unique_list_of', 'capacity', capacity) -%}
{%- set of = cdp.matching('unique_list_of', event, kwargs, property, cdp.key_types()) -%}
{%- set item = cdp.json_item('value', of.type) -%}
select
    profile_id,
    '[' || coalesce(
        {{ cdp.joined_texts('case when place <= ' ~ room ~ ' then ' ~ item ~ ' end', 'value') }}, ''
    ) || ']' as {{ of.column }}
from (
    select
        profile_id,
        value,
        row_number() over (
            partition by profile_id
            order by case when value is null then 1 else 0 end, first_at, value
        ) as place
    from (
        select
            profile_id,
            value,
            min(happened_at) as first_at
        from (
            {{ of.events }}
        ) as matching
        group by profile_id, value
    ) as different
) as ranked
group by profile_id
{%- endmacro %}

{# A value of one of key_types as JSON. #}
{% macro json_item(value, type) -%}
    {%- if type == 'integer' -%}cast({{ value }} as {{ dbt.type_string() }})
    {%- else -%}{{ cdp.json_quote(value) }}
    {%- endif -%}
{%- endmacro %}

{# {group: aggregate}, groups being the values of the properties `by` (up to three, an object within
   an object): how many events, or the sum, min, max or average of a property. An event that lacks
   one of the properties is in no group. #}
{% macro map_of(event=none, property=none, by=none, aggregate='sum') -%}
{%- set by = [by] if by is string else by or [] -%}
{%- if not 1 <= by | length <= 3 -%}
    {%- do cdp.refuse_attribute(
        'map_of',
        'by is ' ~ by ~ "; write one to three properties: by=['destination']. Of more, make "
        ~ 'several attributes.'
    ) -%}
{%- endif -%}
{%- set aggregates = {
    'sum': 'sum(' ~ cdp.to_exact('value') ~ ')',
    'min': 'min(' ~ cdp.to_exact('value') ~ ')',
    'max': 'max(' ~ cdp.to_exact('value') ~ ')',
    'average': cdp.to_exact(cdp.exact_sum('value') ~ ' / nullif(count(value), 0)'),
} -%}
{%- if aggregate not in aggregates -%}
    {%- do cdp.refuse_attribute(
        'map_of', 'aggregate is ' ~ aggregate ~ '; write ' ~ aggregates | join(', ') ~ '.'
    ) -%}
{%- endif -%}
{%- set types = cdp.number_types() if property else [] -%}
{%- set of = cdp.matching('map_of', event, kwargs, property, types, keys=by) -%}
{%- set keys, said = [], [] -%}
{%- for key in by -%}
    {%- do keys.append('key_' ~ loop.index) -%}
    {%- do said.append('key_' ~ loop.index ~ ' is not null') -%}
{%- endfor -%}
{%- if property -%}{%- do said.append(cdp.to_exact('value') ~ ' is not null') -%}{%- endif -%}
{%- set in_a_group = said | join(' and ') -%}
{%- set grouped -%}
select
    profile_id,
    {{ keys | join(', ') }},
    {% if property -%}
    {{ cdp.exact_text(aggregates[aggregate]) }} as entry
    {%- else -%}
    cast(count(*) as {{ dbt.type_string() }}) as entry
    {%- endif %}
from (
    select
        profile_id,
        {%- for key in keys %}
        case when {{ in_a_group }} then cast({{ key }} as {{ dbt.type_string() }}) end as {{ key }}
        {{- ',' if property or not loop.last }}
        {%- endfor %}
        {%- if property %}
        value
        {%- endif %}
    from (
        {{ of.events }}
    ) as matching
) as keyed
group by profile_id, {{ keys | join(', ') }}
{%- endset -%}
{%- set nested = namespace(sql=grouped) -%}
{%- for key in keys | reverse -%}
{%- set kept = (['profile_id'] + keys[:-loop.index]) | join(', ') -%}
{%- set pair = 'case when ' ~ key ~ ' is not null then ' ~ cdp.json_quote(key)
    ~ " || ':' || entry end" -%}
{%- set entries = cdp.joined_texts(pair, key) -%}
{%- set nested.sql -%}
select
    {{ kept }},
    '{' || coalesce({{ entries }}, '') || '}' as {{ of.column if loop.last else 'entry' }}
from (
    {{ nested.sql }}
) as {{ key }}_entries
group by {{ kept }}
{%- endset -%}
{%- endfor -%}
{{ nested.sql }}
{%- endmacro %}
