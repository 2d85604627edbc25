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
inner join {{ ref('set_owners') }} as set_owners on set_owners.identifiers = writes.owner_key
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
