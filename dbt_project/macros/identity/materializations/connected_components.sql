{# Connected components by contraction, in plain SQL: any graph, looped to a proven fixpoint.

   Nodes are integers; `instance` keeps independent graphs apart, so that many are solved in the
   same statements. A round:
     1. pointers   every node points at its smallest smaller neighbour.
     2. jumps      the pointers are followed to their ends: each jump doubles how far they reach,
                   until none moves.
     3. rewriting  the edges are rewritten between the ends; those within one end are gone.
   A round that leaves no edge is the last. Then
     4. unwinding  what moved in a later round moves on from where it had moved to in an earlier
                   one: from the last round back to the first.
   No number of rounds is assumed: the bounds of the loops only keep the template engine from
   turning for ever, and reaching one is an error, never a wrong answer. #}

{# `edges` is a relation (instance, a, b). Fills the scratch table `into` (instance, node, root)
   with one row per node that is not the smallest of its component; root is the smallest. Returns
   the number of rounds. #}
{% macro components_of(edges, into) -%}
    {%- set edges_at_first -%}
(
{{ cdp.edges_in_order(edges) }}
)
    {%- endset -%}
    {%- set state = namespace(
        round=0, jump=0, jumps=0, open=1, moving=0, moves=[], edges=edges_at_first
    ) -%}
    {%- for _ in range(10000) -%}
        {%- if state.open == 0 -%}{%- break -%}{%- endif -%}
        {%- set state.round = state.round + 1 -%}
        {%- set prefix = 'pointers_' ~ state.round ~ '_' -%}

        {#- 1. pointers #}
        {%- set state.jump = 0 -%}
        {%- set state.moving = cdp.run_all(
            cdp.filled(prefix ~ '0', cdp.pointers_to_smallest_neighbours(state.edges))
            + [cdp.pointers_that_can_jump(cdp.scratch(prefix ~ '0'))]
        ) -%}

        {#- 2. jumps #}
        {%- for _ in range(128) -%}
            {%- if state.moving == 0 -%}{%- break -%}{%- endif -%}
            {%- set from, to = prefix ~ state.jump, prefix ~ (state.jump + 1) -%}
            {%- set state.jump = state.jump + 1 -%}
            {%- set state.moving = cdp.run_all(
                cdp.filled(to, cdp.pointers_after_a_jump(cdp.scratch(from)))
                + cdp.emptied([from])
                + [cdp.pointers_that_moved(cdp.scratch(to))]
            ) -%}
        {%- endfor -%}
        {%- set state.jumps = state.jumps + state.jump -%}
        {%- set pointers, left_edges = prefix ~ state.jump, 'edges_' ~ state.round -%}
        {%- do state.moves.append(pointers) -%}

        {#- 3. rewriting #}
        {%- set state.open = cdp.run_all(
            cdp.filled(left_edges, cdp.edges_between_ends(state.edges, cdp.scratch(pointers)))
            + (cdp.emptied(['edges_' ~ (state.round - 1)]) if state.round > 1 else [])
            + [cdp.rows_in(left_edges)]
        ) -%}
        {%- set state.edges = cdp.scratch(left_edges) -%}
    {%- endfor -%}
    {%- if state.open > 0 -%}
        {{ exceptions.raise_compiler_error('Components of ' ~ edges ~ ' did not settle.') }}
    {%- endif -%}

    {#- 4. unwinding #}
    {%- set statements = cdp.emptied(['edges_' ~ state.round]) -%}
    {%- for round in range(state.round, 0, -1) -%}
        {%- set moves, later = state.moves[round - 1], 'roots_' ~ (round + 1) -%}
        {%- set to = into if round == 1 else 'roots_' ~ round -%}
        {%- if loop.first -%}
            {%- set roots = cdp.roots_of_last_round(cdp.scratch(moves)) -%}
            {%- do statements.extend(cdp.filled(to, roots) + cdp.emptied([moves])) -%}
        {%- else -%}
            {%- set roots = cdp.roots_of_two_rounds(cdp.scratch(moves), cdp.scratch(later)) -%}
            {%- do statements.extend(cdp.filled(to, roots) + cdp.emptied([moves, later])) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do cdp.run_all(statements + ['select 1']) -%}
    {%- set settled = 'settled after ' ~ state.round ~ ' rounds, ' ~ state.jumps ~ ' jumps' -%}
    {%- do log(this.identifier ~ ': components ' ~ settled, info=false) -%}
    {{ return(state.round) }}
{%- endmacro %}

{# Each edge once, the smaller node first. #}
{% macro edges_in_order(edges) -%}
select distinct
    instance,
    case when a < b then a else b end as a,
    case when a < b then b else a end as b
from {{ edges }}
where a <> b
{%- endmacro %}

{% macro pointers_to_smallest_neighbours(edges) -%}
select
    instance,
    b as node,
    min(a) as root
from {{ edges }} as edges
group by instance, b
{%- endmacro %}

{# How many pointers end at a node that points on. #}
{% macro pointers_that_can_jump(pointers) -%}
select count(*)
from {{ pointers }} as here
inner join {{ pointers }} as there on there.instance = here.instance and there.node = here.root
{%- endmacro %}

{% macro pointers_after_a_jump(pointers) -%}
select
    here.instance,
    here.node,
    coalesce(there.root, here.root) as root,
    case when there.root is null then 0 else 1 end as moved
from {{ pointers }} as here
left join {{ pointers }} as there on there.instance = here.instance and there.node = here.root
{%- endmacro %}

{# How many pointers the last jump moved. #}
{% macro pointers_that_moved(pointers) -%}
select coalesce(sum(moved), 0)
from {{ pointers }}
{%- endmacro %}

{% macro edges_between_ends(edges, pointers) -%}
{%- set moved -%}
(
    select
        edges.instance,
        coalesce(left_end.root, edges.a) as a,
        coalesce(right_end.root, edges.b) as b
    from {{ edges }} as edges
    left join {{ pointers }} as left_end
        on left_end.instance = edges.instance and left_end.node = edges.a
    left join {{ pointers }} as right_end
        on right_end.instance = edges.instance and right_end.node = edges.b
) as moved
{%- endset -%}
{{ cdp.edges_in_order(moved) }}
{%- endmacro %}

{% macro roots_of_last_round(moves) -%}
select
    instance,
    node,
    root
from {{ moves }}
{%- endmacro %}

{% macro roots_of_two_rounds(earlier, later) -%}
select
    moves.instance,
    moves.node,
    coalesce(later.root, moves.root) as root
from {{ earlier }} as moves
left join {{ later }} as later on later.instance = moves.instance and later.node = moves.root
union all
select
    instance,
    node,
    root
from {{ later }}
{%- endmacro %}

{# A model whose SQL gives edges (instance, a, b), all of one instance; the relation holds (node,
   root), under the names that the model gives them. #}
{% materialization connected_components, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- do cdp.run_all(cdp.filled('input', sql) + ['select 1']) -%}
    {%- do cdp.components_of(cdp.scratch('input'), 'result') -%}
    {%- set components -%}
select
    node as {{ config.require('node') }},
    root as {{ config.require('root') }}
from {{ cdp.scratch('result') }}
    {%- endset -%}
    {%- do cdp.replace_table(target_relation, components) -%}
    {%- do cdp.run_all(cdp.emptied(['input', 'result']) + ['select 1']) -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
