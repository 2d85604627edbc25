{# Connected components by contraction, in plain SQL: any graph, looped to a proven fixpoint.

   Each round every node points at its smallest smaller neighbour, the pointers are followed to their ends, and the
   edges are rewritten between the ends. A round that leaves no edge is the last; no number of rounds is assumed (the
   bounds below only keep the template engine from turning for ever: reaching one is an error, never a wrong answer).
   Nodes are integers; `instance` keeps independent graphs apart, so many are solved in the same statements. #}

{% macro scratch_table(name, sql) -%}
    {%- set relation = api.Relation.create(
        database=this.database, schema=this.schema, identifier='_' ~ this.identifier ~ '__' ~ name, type='table'
    ) -%}
    {%- do adapter.drop_relation(relation) -%}
    {%- do run_query(create_table_as(false, relation, sql)) -%}
    {{ return(relation) }}
{%- endmacro %}

{# `edges` has (instance, a, b). Returns a scratch relation (instance, node, root) with one row per node that is not the
   smallest of its component; root is the smallest. The caller drops it. `name` keeps scratch tables apart. #}
{% macro components_of(edges, name) -%}
    {%- set state = namespace(round=0, jumps=0, open=1, moves=[]) -%}
    {%- set state.edges = cdp.scratch_table(name ~ '_edges_0',
        'select distinct instance, least(a, b) as a, greatest(a, b) as b from ' ~ edges ~ ' where a <> b') -%}
    {%- set state.open = cdp.scalar('select count(*) from ' ~ state.edges) -%}
    {%- for _ in range(10000) if state.open > 0 -%}
        {%- set state.round = state.round + 1 -%}
        {%- set pointers = cdp.scratch_table(name ~ '_pointers_' ~ state.round ~ '_0',
            'select instance, b as node, min(a) as root from ' ~ state.edges ~ ' group by instance, b') -%}
        {%- set state.pointers = pointers -%}
        {%- set state.moving = 1 -%}
        {%- for jump in range(1, 128) if state.moving > 0 -%}
            {%- set jumped = cdp.scratch_table(name ~ '_pointers_' ~ state.round ~ '_' ~ jump,
                'select here.instance, here.node, coalesce(there.root, here.root) as root, '
                ~ 'case when there.root is null then 0 else 1 end as moved from ' ~ state.pointers ~ ' as here left join '
                ~ state.pointers ~ ' as there on there.instance = here.instance and there.node = here.root') -%}
            {%- do adapter.drop_relation(state.pointers) -%}
            {%- set state.pointers = jumped -%}
            {%- set state.jumps = state.jumps + 1 -%}
            {%- set state.moving = cdp.scalar('select coalesce(sum(moved), 0) from ' ~ jumped) -%}
        {%- endfor -%}
        {%- do state.moves.append(state.pointers) -%}
        {%- set rewritten = cdp.scratch_table(name ~ '_edges_' ~ state.round,
            'select distinct instance, least(a, b) as a, greatest(a, b) as b from ('
            ~ 'select edges.instance, coalesce(left_end.root, edges.a) as a, coalesce(right_end.root, edges.b) as b from '
            ~ state.edges ~ ' as edges left join ' ~ state.pointers ~ ' as left_end on left_end.instance = edges.instance '
            ~ 'and left_end.node = edges.a left join ' ~ state.pointers ~ ' as right_end on right_end.instance = edges.instance '
            ~ 'and right_end.node = edges.b) as moved where a <> b') -%}
        {%- do adapter.drop_relation(state.edges) -%}
        {%- set state.edges = rewritten -%}
        {%- set state.open = cdp.scalar('select count(*) from ' ~ rewritten) -%}
    {%- endfor -%}
    {%- if state.open > 0 -%}
        {{ exceptions.raise_compiler_error('Components of ' ~ edges ~ ' did not settle.') }}
    {%- endif -%}
    {%- do adapter.drop_relation(state.edges) -%}
    {%- set result = cdp.scratch_table(name ~ '_roots_' ~ state.moves | length,
        'select cast(null as ' ~ dbt.type_bigint() ~ ') as instance, cast(null as ' ~ dbt.type_bigint() ~ ') as node, '
        ~ 'cast(null as ' ~ dbt.type_bigint() ~ ') as root where 1 = 0') -%}
    {%- set state.result = result -%}
    {%- for moves in state.moves | reverse -%}
        {%- set joined = cdp.scratch_table(name ~ '_roots_' ~ loop.revindex0,
            'select moves.instance, moves.node, coalesce(later.root, moves.root) as root from ' ~ moves ~ ' as moves left join '
            ~ state.result ~ ' as later on later.instance = moves.instance and later.node = moves.root '
            ~ 'union all select instance, node, root from ' ~ state.result) -%}
        {%- do adapter.drop_relation(state.result) -%}
        {%- do adapter.drop_relation(moves) -%}
        {%- set state.result = joined -%}
    {%- endfor -%}
    {%- do log(this.identifier ~ ': ' ~ name ~ ' settled after ' ~ state.round ~ ' rounds, ' ~ state.jumps ~ ' jumps', info=false) -%}
    {{ return(state.result) }}
{%- endmacro %}

{# A model whose SQL gives edges (instance, a, b); the relation holds (instance, node, root). #}
{% materialization connected_components, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- set edges = cdp.scratch_table('input', sql) -%}
    {%- set roots = cdp.components_of(edges, 'all') -%}
    {%- do cdp.replace_table(target_relation, 'select instance, node, root from ' ~ roots) -%}
    {%- do adapter.drop_relation(edges) -%}
    {%- do adapter.drop_relation(roots) -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro replace_table(target_relation, sql) -%}
    {%- set existing = adapter.get_relation(this.database, this.schema, this.identifier) -%}
    {%- if existing -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {%- call statement('main') -%}{{ create_table_as(false, target_relation, sql) }}{%- endcall -%}
{%- endmacro %}
