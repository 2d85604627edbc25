{# Which profile absorbed which, when: the history that processing messages one by one would have written, found without
   processing them one by one.

   A profile ends at the first arrival after which its component holds an older one. All profiles look for that moment
   at once, by halving: take the edges of the first half of time; whoever has an older neighbour in there ended in that
   half and searches on inside it; everybody else is represented by the oldest of their component and searches in the
   second half. After log2(number of distinct arrivals in the largest component) halvings every instance holds the edges
   of one single arrival, and its components say who joined whom.

   The model's SQL gives edges (instance, a, b, arrival, a_identifier_no, b_identifier_no) with a < b; the relation holds
   (node, root, arrival, identifier_no): node was absorbed into root at arrival, linked by its own identifier_no. #}

{% materialization merge_order, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}

    {%- set search = namespace(half=1, levels=0) -%}
    {%- set search.edges = cdp.scratch_table('level_0',
        'select dense_rank() over (order by instance) as instance, '
        ~ 'dense_rank() over (partition by instance order by arrival) - 1 as moment, '
        ~ 'a, b, arrival, a_identifier_no, b_identifier_no from (' ~ sql ~ ') as edges') -%}
    {%- set last_moment = cdp.scalar('select coalesce(max(moment), 0) from ' ~ search.edges) -%}
    {%- for _ in range(63) if search.half <= last_moment -%}
        {%- set search.half = search.half * 2 -%}
        {%- set search.levels = search.levels + 1 -%}
    {%- endfor -%}

    {%- for level in range(1, search.levels + 1) -%}
        {%- set search.half = search.half // 2 -%}
        {%- set early = cdp.scratch_table('early',
            'select instance, a, b from ' ~ search.edges ~ ' where moment < ' ~ search.half) -%}
        {%- set roots = cdp.components_of(early, 'half') -%}
        {%- set next = cdp.scratch_table('level_' ~ level,
            'select instance * 2 as instance, moment, a, b, arrival, a_identifier_no, b_identifier_no from ' ~ search.edges
            ~ ' where moment < ' ~ search.half ~ ' union all '
            ~ 'select instance, moment, case when a < b then a else b end as a, case when a < b then b else a end as b, arrival, '
            ~ 'case when a < b then a_identifier_no else b_identifier_no end as a_identifier_no, '
            ~ 'case when a < b then b_identifier_no else a_identifier_no end as b_identifier_no from ('
            ~ 'select late.instance * 2 + 1 as instance, late.moment - ' ~ search.half ~ ' as moment, '
            ~ 'coalesce(a_end.root, late.a) as a, coalesce(b_end.root, late.b) as b, late.arrival, '
            ~ 'late.a_identifier_no, late.b_identifier_no from ' ~ search.edges ~ ' as late left join ' ~ roots
            ~ ' as a_end on a_end.instance = late.instance and a_end.node = late.a left join ' ~ roots
            ~ ' as b_end on b_end.instance = late.instance and b_end.node = late.b where late.moment >= ' ~ search.half
            ~ ') as moved where a <> b') -%}
        {%- do adapter.drop_relation(search.edges) -%}
        {%- do adapter.drop_relation(early) -%}
        {%- do adapter.drop_relation(roots) -%}
        {%- set search.edges = next -%}
    {%- endfor -%}

    {%- set roots = cdp.components_of(search.edges, 'last') -%}
    {%- do cdp.replace_table(target_relation,
        'select roots.node, roots.root, min(sides.arrival) as arrival, min(sides.identifier_no) as identifier_no from '
        ~ roots ~ ' as roots inner join ('
        ~ 'select instance, a as node, arrival, a_identifier_no as identifier_no from ' ~ search.edges
        ~ ' union all select instance, b as node, arrival, b_identifier_no as identifier_no from ' ~ search.edges
        ~ ') as sides on sides.instance = roots.instance and sides.node = roots.node group by roots.node, roots.root') -%}
    {%- do adapter.drop_relation(search.edges) -%}
    {%- do adapter.drop_relation(roots) -%}
    {%- do log(this.identifier ~ ': ' ~ search.levels ~ ' halvings', info=false) -%}

    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
