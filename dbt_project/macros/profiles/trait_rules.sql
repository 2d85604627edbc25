{# Which write of a trait counts: tiers say who may write it, merge rules what several writes make.
   All of it is a function of the writes in the order (occurred_at, arrival), so that neither merges
   of people nor rebuilds change it. A write without a value removes: what was said before it no
   longer counts, under every rule. A write older than the trait's time to live is as if never said. #}

{# A source's tier as a number, 1 being the strongest. A source without one stands with sdk. #}
{% macro tier_of_source(source) -%}
    {%- set places = {} -%}
    {%- for tier in cdp.source_tiers() -%}{%- do places.update({tier: loop.index}) -%}{%- endfor -%}
    case {{ source }}
        {%- for name, rule in cdp.source_rules().items() if rule['tier'] and rule['tier'] != 'sdk' %}
        when {{ cdp.text_literal(name) }} then {{ places[rule['tier']] }}
        {%- endfor %}
        else {{ places['sdk'] }}
    end
{%- endmacro %}

{# Whether any source is of another tier than the others: without, all of them are equal. #}
{% macro tiers_are_declared() -%}
    {%- set declared = [] -%}
    {%- for rule in cdp.source_rules().values() if rule['tier'] not in (none, 'sdk') -%}
        {%- do declared.append(rule['tier']) -%}
    {%- endfor -%}
    {{ return(declared | length > 0) }}
{%- endmacro %}

{% macro place_of_partners() -%}
    {{ return(cdp.source_tiers() | length) }}
{%- endmacro %}

{# Each trait's time to live before a moment: the condition that a write at `at` still counts then. #}
{% macro still_counts(trait, at, moment) -%}
    {%- set named = [] -%}
    {%- for name, entry in cdp.catalogue_traits().items() if entry['ttl_days'] -%}
        {%- do named.append('when ' ~ cdp.text_literal(name) ~ ' then ' ~ at ~ ' > '
            ~ cdp.plus(moment, days=-entry['ttl_days'])) -%}
    {%- endfor -%}
    {%- if named -%}case {{ trait }} {{ named | join(' ') }} else true end{%- else -%}1 = 1{%- endif -%}
{%- endmacro %}

{# The writes of each person, as a relation without brackets: profile_id, trait and what
   profiles.trait_writes tells of each. #}
{% macro personal_writes() -%}
select
    set_owners.profile_id,
    writes.trait,
    writes.value,
    writes.typed_value,
    writes.source,
    writes.occurred_at,
    writes.arrival,
    writes.message_id
from {{ ref('trait_writes') }} as writes
inner join {{ ref('set_owners') }} as set_owners on set_owners.identifiers = writes.identifiers
where set_owners.profile_id is not null and not writes.is_wrong_type
{%- endmacro %}

{# `relation` with the tier of each write, its partition being `keys`. A partner feed owns what it
   set first: first_partner is that source. #}
{% macro tiered_writes(relation, keys) -%}
select
    *,
    first_value(source) over (
        partition by {{ keys | join(', ') }}
        order by
            case when tier = {{ cdp.place_of_partners() }} and value is not null then 0 else 1 end,
            occurred_at,
            arrival
    ) as first_partner
from (
    select
        *,
        {{ cdp.tier_of_source('source') }} as tier
    from {{ relation }}
) as placed
{%- endmacro %}

{% macro is_of_owner() -%}
    (tier < {{ cdp.place_of_partners() }} or source = first_partner)
{%- endmacro %}

{# The writes in force: of each trait those of the strongest tier that wrote it. recency: 1 for the
   latest write of any tier; place: for the latest in force; is_only: nobody else wrote it;
   removals_since: how many writes from the latest to this one remove. `keys` (profile_id, trait and
   more) are one person's trait. #}
{% macro writes_in_force(relation, keys) -%}
{%- set key = keys | join(', ') -%}
{%- set tiered = cdp.tiers_are_declared() -%}
{%- set by_rule = cdp.traits_by_rule() -%}
select
    *{{ ',' if tiered or by_rule }}
    {%- if tiered %}
    row_number() over (partition by {{ key }} order by occurred_at desc, arrival desc) as place
    {{- ',' if by_rule }}
    {%- endif %}
    {%- if by_rule %}
    sum(case when value is null then 1 else 0 end) over (
        partition by {{ key }} order by occurred_at desc, arrival desc
        rows between unbounded preceding and current row
    ) as removals_since
    {%- endif %}
from (
    select
        *,
        {%- if tiered %}
        min(case when {{ cdp.is_of_owner() }} then tier end) over (partition by {{ key }}) as best_tier,
        {%- endif %}
        row_number() over (
            partition by {{ key }} order by occurred_at desc, arrival desc
        ) as {{ 'recency' if tiered else 'place' }},
        lead(arrival) over (
            partition by {{ key }} order by occurred_at desc, arrival desc
        ) as earlier_arrival
    from {% if tiered %}(
        {{ cdp.tiered_writes(relation, keys) }}
    ) as tiered_writes{% else %}{{ relation }} as given_writes{% endif %}
) as ranked_writes
{%- if tiered %}
where tier = best_tier and {{ cdp.is_of_owner() }}
{%- endif %}
{%- endmacro %}

{# The traits whose merge rule is not `latest`. #}
{% macro traits_by_rule() -%}
    {{ return(cdp.traits_with('merge', cdp.merge_rules() | reject('equalto', 'latest') | list)) }}
{%- endmacro %}

{# Of `relation` (the name of a CTE of writes_in_force) what each trait is: the keys, value (JSON
   text), typed_value, source, occurred_at, message_id (of the write that made it so) and won_by.
   What is removed has no row. #}
{% macro won_traits(relation, keys) -%}
{%- set key = keys | join(', ') -%}
{%- set by_rule = cdp.traits_by_rule() -%}
{%- set told = 'source, occurred_at, message_id' -%}
select
    {{ key }},
    value,
    typed_value,
    {{ told }},
    case
        {%- if cdp.tiers_are_declared() %}
        when recency > 1 and tier = {{ cdp.place_of_partners() }} then 'first_partner_feed'
        when recency > 1 then 'tier'
        {%- endif %}
        when earlier_arrival is null then 'only'
        else 'latest'
    end as won_by
from {{ relation }}
where place = 1 and value is not null and not ({{ cdp.trait_is_in('trait', by_rule) }})
{%- if cdp.traits_with('merge', ['oldest', 'min', 'max']) %}
union all
{{ cdp.chosen_writes(relation, key, told) }}
{%- endif %}
{%- if cdp.traits_with('merge', ['sum', 'count']) %}
union all
{{ cdp.added_writes(relation, key) }}
{%- endif %}
{%- for type in ['list', 'map'] if cdp.traits_united_as(type) %}
union all
{{ cdp.united_writes(relation, keys, type) }}
{%- endfor %}
{%- endmacro %}

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
