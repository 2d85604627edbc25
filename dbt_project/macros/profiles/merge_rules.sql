{# What the writes in force make of a trait under merge rules other than `latest`. #}

{# The first said, the smallest, the largest; of equal ones the first said. #}
{% macro chosen_writes(relation, key, told) -%}
{%- set times = cdp.traits_with('type', ['date', 'timestamp']) -%}
{%- set order = [] -%}
{%- for rule, sign, direction in [('min', '', 'asc'), ('max', '-', 'desc')] -%}
    {%- set named = cdp.traits_with('merge', [rule]) -%}
    {%- set numbers = named | reject('in', times) | list -%}
    {%- if numbers -%}
        {%- do order.append('case when ' ~ cdp.trait_is_in('trait', numbers) ~ ' then '
            ~ cdp.to_type('typed_value', 'double') ~ ' end ' ~ direction) -%}
    {%- endif -%}
    {%- set moments = named | select('in', times) | list -%}
    {%- if moments -%}
        {%- do order.append('case when ' ~ cdp.trait_is_in('trait', moments) ~ ' then cast(typed_value as '
            ~ dbt.type_timestamp() ~ ') end ' ~ direction) -%}
    {%- endif -%}
{%- endfor -%}
select
    {{ key }},
    value,
    typed_value,
    {{ told }},
    {{ cdp.rule_of_trait() }} as won_by
from (
    select
        *,
        row_number() over (
            partition by {{ key }}
            order by {{ (order + ['occurred_at asc', 'arrival asc']) | join(', ') }}
        ) as rule_place
    from {{ relation }}
    where removals_since = 0 and {{ cdp.trait_is_in('trait', cdp.traits_with('merge', ['oldest', 'min', 'max'])) }}
) as ordered_writes
where rule_place = 1
{%- endmacro %}

{# What was said, added up or counted; the latest write stands for all of them. #}
{% macro added_writes(relation, key) -%}
{%- set counts = cdp.traits_with('merge', ['count']) -%}
select
    {{ key }},
    amount as value,
    amount as typed_value,
    source,
    occurred_at,
    message_id,
    won_by
from (
    select
        {{ key }},
        {{ cdp.rule_of_trait() }} as won_by,
        case
            when {{ cdp.trait_is_in('trait', counts) }} then cast(count(*) as {{ dbt.type_string() }})
            else {{ cdp.exact_text(
                'sum(' ~ cdp.to_exact('case when not (' ~ cdp.trait_is_in('trait', counts) ~ ') then '
                ~ cdp.to_type('typed_value', 'double') ~ ' end') ~ ')'
            ) }}
        end as amount,
        max(case when place = 1 then source end) as source,
        max(case when place = 1 then occurred_at end) as occurred_at,
        max(case when place = 1 then message_id end) as message_id
    from {{ relation }}
    where removals_since = 0 and {{ cdp.trait_is_in('trait', cdp.traits_with('merge', ['sum', 'count'])) }}
    group by {{ key }}
) as added
where amount is not null
{%- endmacro %}

{% macro traits_united_as(type) -%}
    {%- set names = [] -%}
    {%- for name, trait in cdp.catalogue_traits().items() if trait['merge'] == 'union' and trait['column_type'] == type -%}
        {%- do names.append(name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{# All items that were said (of maps: the entries, of each key the latest, and null takes a key
   away). Of more than `capacity` those said last stay, of one message the first in it. In byte order
   of the items, so that equal sets are equal texts. #}
{% macro united_writes(relation, keys, type) -%}
{%- set key = keys | join(', ') -%}
{%- set names = cdp.traits_united_as(type) -%}
{%- set lists = cdp.traits_with('type', ['list', 'map']) -%}
{%- set told = keys + ['place', 'source', 'occurred_at', 'arrival', 'message_id'] -%}
{%- set writes -%}
(
    select
        {{ told | join(', ') }},
        {%- if type == 'map' %}
        typed_value as items
        {%- else %}
        case
            when {{ cdp.trait_is_in('trait', lists) }} then typed_value
            else '[' || {{ cdp.json_quote('typed_value') }} || ']'
        end as items
        {%- endif %}
    from {{ relation }}
    where removals_since = 0 and {{ cdp.trait_is_in('trait', names) }}
)
{%- endset -%}
{%- set rooms = {} -%}
{%- for name, trait in cdp.catalogue_traits().items() if name in names and trait['capacity'] -%}
    {%- do rooms.update({name: trait['capacity']}) -%}
{%- endfor -%}
{%- set conditions = [] -%}
{%- for name, room in rooms.items() -%}
    {%- do conditions.append('when ' ~ cdp.text_literal(name) ~ ' then said_place <= ' ~ room) -%}
{%- endfor -%}
{%- set stays = 'case trait ' ~ conditions | join(' ') ~ ' else true end' if conditions else '1 = 1' -%}
{%- set item = cdp.json_quote('item_key') ~ " || ':' || item_value" if type == 'map' else 'item_key' -%}
{%- set opening, closing = ('{', '}') if type == 'map' else ('[', ']') -%}
select
    {{ key }},
    '{{ opening }}' || coalesce(items, '') || '{{ closing }}' as value,
    '{{ opening }}' || coalesce(items, '') || '{{ closing }}' as typed_value,
    source,
    occurred_at,
    message_id,
    'union' as won_by
from (
    select
        {{ key }},
        {{ cdp.joined_texts('case when is_held and ' ~ stays ~ ' then ' ~ item ~ ' end', 'item_key') }} as items,
        max(case when place = 1 then source end) as source,
        max(case when place = 1 then occurred_at end) as occurred_at,
        max(case when place = 1 then message_id end) as message_id
    from (
        select
            *,
            row_number() over (
                partition by {{ key }}
                order by case when is_held then 0 else 1 end, occurred_at desc, arrival desc, item_no, item_key
            ) as said_place
        from (
            select
                *,
                item_key is not null and item_value <> 'null' and later = 1 as is_held
            from (
                select
                    *,
                    row_number() over (
                        partition by {{ key }}, item_key order by occurred_at desc, arrival desc, item_no
                    ) as later
                from (
                    select
                        {{ told | join(', ') }},
                        {%- if type == 'map' %}
                        entry_key as item_key,
                        entry_value as item_value,
                        0 as item_no
                        {%- else %}
                        item as item_key,
                        item as item_value,
                        item_no
                        {%- endif %}
                    from (
                        {{ cdp.explode_object(writes, told, 'items') if type == 'map'
                            else cdp.explode_array(writes, told, 'items') }}
                    ) as exploded
                    -- An empty one has no items, and is said all the same.
                    union all
                    select
                        {{ told | join(', ') }},
                        cast(null as {{ dbt.type_string() }}) as item_key,
                        cast(null as {{ dbt.type_string() }}) as item_value,
                        -1 as item_no
                    from {{ writes }} as said
                ) as all_items
            ) as latest_items
        ) as known_items
    ) as ranked_items
    group by {{ key }}
) as united
{%- endmacro %}

{% macro rule_of_trait() -%}
    case trait
        {%- for name, entry in cdp.catalogue_traits().items() if entry['merge'] != 'latest' %}
        when {{ cdp.text_literal(name) }} then '{{ entry['merge'] }}'
        {%- endfor %}
    end
{%- endmacro %}
