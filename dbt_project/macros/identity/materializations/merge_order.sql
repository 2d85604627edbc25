{# Which profile absorbed which, when: the history that processing messages one by one would have
   written, found without processing them one by one.

   A profile ends at the first arrival after which its component holds an older one. All profiles
   look for that moment at once, by halving:
     1. moments   the arrivals of each component are numbered from 0, its moments.
     2. halvings  the edges of the first half of the moments are solved by connected components.
                  Whoever has an older neighbour in there ended in that half and searches on
                  inside it; everybody else is represented by the oldest of their component and
                  searches in the second half. Either half is an instance of its own in the next
                  halving.
     3. joins     after log2(moments of the largest component) halvings every instance holds the
                  edges of one single arrival, and its components say who joined whom. An edge
                  whose ends have become one joins nobody, but it stays: its identifiers are that
                  profile's own in the message, and the strongest of them makes the link.

   The model's SQL gives edges (instance, a, b, arrival, a_strength, b_strength) with a < b; the
   relation holds (founded_at, absorbed_by, arrival, strength): at arrival the profile founded_at
   was absorbed by another one, linked by its own strength. #}

{% materialization merge_order, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}

    {#- 1. moments #}
    {%- set search = namespace(half=1, levels=0) -%}
    {%- set last_moment = cdp.run_all(
        cdp.filled('level_0', cdp.edges_by_moment(sql)) + [cdp.last_moment(cdp.scratch('level_0'))]
    ) -%}
    {%- for _ in range(63) -%}
        {%- if search.half > last_moment -%}{%- break -%}{%- endif -%}
        {%- set search.half = search.half * 2 -%}
        {%- set search.levels = search.levels + 1 -%}
    {%- endfor -%}

    {#- 2. halvings #}
    {%- for level in range(1, search.levels + 1) -%}
        {%- set search.half = search.half // 2 -%}
        {%- set from, to = 'level_' ~ (level - 1), 'level_' ~ level -%}
        {%- set edges, roots = cdp.scratch(from), cdp.scratch('roots') -%}
        {%- do cdp.components_of(cdp.edges_of_first_half(edges, search.half), 'roots') -%}
        {%- do cdp.run_all(
            cdp.filled(to, cdp.edges_of_both_halves(edges, roots, search.half))
            + cdp.emptied([from, 'roots'])
            + ['select 1']
        ) -%}
    {%- endfor -%}

    {#- 3. joins #}
    {%- set last = 'level_' ~ search.levels -%}
    {%- do cdp.components_of(cdp.scratch(last), 'roots') -%}
    {%- set joins = cdp.joins_of_moments(cdp.scratch(last), cdp.scratch('roots')) -%}
    {%- do cdp.replace_table(target_relation, joins) -%}
    {%- do cdp.run_all(cdp.emptied(['roots', last]) + ['select 1']) -%}
    {%- do log(this.identifier ~ ': ' ~ search.levels ~ ' halvings', info=false) -%}

    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro edges_by_moment(sql) -%}
select
    cast(dense_rank() over (order by instance) as {{ dbt.type_bigint() }}) as instance,
    cast(
        dense_rank() over (partition by instance order by arrival) - 1 as {{ dbt.type_bigint() }}
    ) as moment,
    a,
    b,
    arrival,
    a_strength,
    b_strength
from (
{{ sql }}
) as edges
{%- endmacro %}

{% macro last_moment(edges) -%}
select coalesce(max(moment), 0)
from {{ edges }}
{%- endmacro %}

{% macro edges_of_first_half(edges, half) -%}
(
    select
        instance,
        a,
        b
    from {{ edges }}
    where moment < {{ half }}
) as early
{%- endmacro %}

{# `roots` are the components of the first half, by whose oldest the second half knows its
   profiles. #}
{% macro edges_of_both_halves(edges, roots, half) -%}
select
    instance * 2 as instance,
    moment,
    a,
    b,
    arrival,
    a_strength,
    b_strength
from {{ edges }}
where moment < {{ half }}
union all
select
    instance,
    moment,
    case when a < b then a else b end as a,
    case when a < b then b else a end as b,
    arrival,
    case when a < b then a_strength else b_strength end as a_strength,
    case when a < b then b_strength else a_strength end as b_strength
from (
    select
        late.instance * 2 + 1 as instance,
        late.moment - {{ half }} as moment,
        coalesce(a_end.root, late.a) as a,
        coalesce(b_end.root, late.b) as b,
        late.arrival,
        late.a_strength,
        late.b_strength
    from {{ edges }} as late
    left join {{ roots }} as a_end on a_end.instance = late.instance and a_end.node = late.a
    left join {{ roots }} as b_end on b_end.instance = late.instance and b_end.node = late.b
    where late.moment >= {{ half }}
) as moved
{%- endmacro %}

{% macro joins_of_moments(edges, roots) -%}
select
    roots.node as founded_at,
    roots.root as absorbed_by,
    min(sides.arrival) as arrival,
    min(sides.strength) as strength
from {{ roots }} as roots
inner join (
    select
        instance,
        a as node,
        arrival,
        a_strength as strength
    from {{ edges }}
    union all
    select
        instance,
        b as node,
        arrival,
        b_strength as strength
    from {{ edges }}
) as sides on sides.instance = roots.instance and sides.node = roots.node
group by roots.node, roots.root
{%- endmacro %}
