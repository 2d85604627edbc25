{# Ordered merge protection: what processing messages one by one would drop, found in rounds of plain SQL.

   A message whose identifiers would bring together more than a rule allows drops its weakest identifier and tries again.
   Profiles only grow, so two things need not wait for their turn: a message that breaks a rule now would break it later,
   too, and may drop at once; a message that is the earliest left for every profile it touches may merge them at once,
   because nothing earlier can change them. The earliest message of all is always one or the other, so every round settles
   something and the loop ends when nothing is left: no number of rounds is assumed.

   A forced group's handle goes with the member that it stands with: that one is the group's strongest in the message that no
   cut takes out, so no other member is left when it is dropped.

   Of a cut pair the one that would be dropped first leaves the messages that carry both.

   The model's SQL gives (arrival, identifier, stands_with, node, drop_order); `holdings` says what a node counts against which rule and how
   much the rule allows. The relation holds (arrival, identifier, rule): rule is `cut` or `merge_protection`. #}

{% materialization merge_protection, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- set state = namespace(round=0, left=0) -%}
    {%- set held = adapter.get_relation(this.database, this.schema, config.require('holdings')) -%}
    {%- set decisions = adapter.get_relation(this.database, this.schema, config.require('decisions')) -%}

    {%- set contested = cdp.scratch('contested') -%}
    {%- set state.left = cdp.run_all(
        cdp.filled('contested', sql)
        + cdp.filled('drops_0',
            "select distinct gone.arrival, gone.identifier, 'cut' as rule from " ~ decisions ~ ' as cuts inner join '
            ~ contested ~ ' as one on one.identifier = cuts.a_identifier inner join ' ~ contested ~ ' as other on '
            ~ 'other.arrival = one.arrival and other.identifier = cuts.b_identifier inner join ' ~ contested ~ ' as gone on '
            ~ 'gone.arrival = one.arrival and gone.stands_with = case when one.drop_order > other.drop_order '
            ~ "then one.identifier else other.identifier end where cuts.action = 'cut'")
        + cdp.filled('waiting_0',
            'select contested.arrival, contested.identifier, contested.stands_with, contested.node, contested.drop_order from ' ~ contested
            ~ ' as contested left join ' ~ cdp.scratch('drops_0') ~ ' as drops on drops.arrival = contested.arrival '
            ~ 'and drops.identifier = contested.identifier where drops.arrival is null')
        + cdp.filled('holdings_0',
            'select node, rule, held, allowed from ' ~ held ~ ' where node in (select node from ' ~ contested ~ ')')
        + ['select count(*) from ' ~ cdp.scratch('waiting_0')]) -%}

    {%- for _ in range(100000) -%}
        {%- if state.left == 0 -%}{%- break -%}{%- endif -%}
        {%- set before, after = state.round % 2, (state.round + 1) % 2 -%}
        {%- set state.round = state.round + 1 -%}
        {%- set waiting, holdings = cdp.scratch('waiting_' ~ before), cdp.scratch('holdings_' ~ before) -%}
        {%- set judged, dropped, open, merged =
            cdp.scratch('judged'), cdp.scratch('dropped'), cdp.scratch('open'), cdp.scratch('merged') -%}
        {# judged: per message, whether it touches more than one profile, and whether they may be one (an identifier that nobody
           holds and that is left alone always joins its forced group). merged: the messages whose turn it is for all of their
           profiles. #}
        {%- set state.left = cdp.run_all(
            cdp.filled('judged',
                'select touched.arrival, case when min(touched.node) < max(touched.node) then 1 else 0 end as joins, '
                ~ 'case when min(touched.stands_with) = max(touched.stands_with) and max(case when touched.identifier = '
                ~ 'touched.stands_with and touched.node = -touched.identifier then 1 else 0 end) = 1 '
                ~ 'then null else max(broken.is_broken) end as is_broken from '
                ~ waiting ~ ' as touched left join (select pairs.arrival, 1 as is_broken from (select distinct arrival, node from '
                ~ waiting ~ ') as pairs inner join ' ~ holdings ~ ' as holdings on holdings.node = pairs.node '
                ~ 'group by pairs.arrival, holdings.rule having sum(holdings.held) > min(holdings.allowed)) as broken '
                ~ 'on broken.arrival = touched.arrival group by touched.arrival')
            + cdp.filled('dropped',
                'select waiting.arrival, waiting.identifier from ' ~ waiting ~ ' as waiting inner join (select last.arrival, '
                ~ 'max(last.drop_order) as drop_order from ' ~ waiting ~ ' as last inner join ' ~ judged ~ ' as judged on '
                ~ 'judged.arrival = last.arrival and judged.joins = 1 and judged.is_broken = 1 group by last.arrival) as weakest '
                ~ 'on weakest.arrival = waiting.arrival inner join ' ~ waiting ~ ' as gone on gone.arrival = weakest.arrival '
                ~ 'and gone.drop_order = weakest.drop_order and gone.stands_with = waiting.stands_with')
            + cdp.filled('open',
                'select waiting.arrival, waiting.identifier, waiting.stands_with, waiting.node, waiting.drop_order, judged.is_broken from ' ~ waiting
                ~ ' as waiting inner join ' ~ judged ~ ' as judged on judged.arrival = waiting.arrival and judged.joins = 1 '
                ~ 'left join ' ~ dropped ~ ' as dropped on dropped.arrival = waiting.arrival and dropped.identifier = waiting.identifier '
                ~ 'where dropped.arrival is null')
            + cdp.filled('merged',
                'select distinct here.arrival, here.node, turn.root from ' ~ open ~ ' as here inner join (select mine.arrival, '
                ~ 'min(mine.node) as root from ' ~ open ~ ' as mine inner join (select node, min(arrival) as arrival from ' ~ open
                ~ ' group by node) as earliest on earliest.node = mine.node group by mine.arrival having '
                ~ 'max(earliest.arrival) = mine.arrival and min(earliest.arrival) = mine.arrival and max(mine.is_broken) is null) as turn '
                ~ 'on turn.arrival = here.arrival')
            + cdp.filled('drops_' ~ after,
                'select arrival, identifier, rule from ' ~ cdp.scratch('drops_' ~ before)
                ~ " union all select arrival, identifier, 'merge_protection' as rule from " ~ dropped)
            + cdp.filled('waiting_' ~ after,
                'select here.arrival, here.identifier, here.stands_with, coalesce(merged.root, here.node) as node, here.drop_order from ' ~ open
                ~ ' as here left join (select distinct node, root from ' ~ merged ~ ') as merged on merged.node = here.node '
                ~ 'left join (select distinct arrival from ' ~ merged ~ ') as done on done.arrival = here.arrival '
                ~ 'where done.arrival is null')
            + cdp.filled('holdings_' ~ after,
                'select coalesce(merged.root, holdings.node) as node, holdings.rule, sum(holdings.held) as held, '
                ~ 'min(holdings.allowed) as allowed from ' ~ holdings ~ ' as holdings left join (select distinct node, root from '
                ~ merged ~ ') as merged on merged.node = holdings.node group by coalesce(merged.root, holdings.node), holdings.rule')
            + ['select count(*) from ' ~ cdp.scratch('waiting_' ~ after)]) -%}
    {%- endfor -%}
    {%- if state.left > 0 -%}
        {{ exceptions.raise_compiler_error('Merge protection did not settle after ' ~ state.round ~ ' rounds.') }}
    {%- endif -%}

    {%- do cdp.replace_table(target_relation, 'select arrival, identifier, rule from ' ~ cdp.scratch('drops_' ~ state.round % 2)) -%}
    {%- do cdp.run_all(
        cdp.emptied(['contested', 'judged', 'dropped', 'open', 'merged', 'drops_0', 'drops_1', 'waiting_0', 'waiting_1',
            'holdings_0', 'holdings_1']) + ['select 1']) -%}
    {%- do log('merge protection settled after ' ~ state.round ~ ' rounds', info=false) -%}

    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
