{# Ordered merge protection: what processing messages one by one would drop, found in rounds of
   plain SQL.

   A message whose identifiers would bring together more than a rule allows drops its weakest
   identifier and tries again. Profiles only grow, so two things need not wait for their turn: a
   message that breaks a rule now would break it later, too, and may drop at once; a message that
   is the earliest left for every profile it touches may merge them at once, because nothing
   earlier can change them. The earliest message of all is always one or the other, so every
   round settles something and the loop ends when nothing is left: no number of rounds is
   assumed.

   Before the rounds
     cuts        of a cut pair the one that would be dropped first leaves the messages that carry
                 both.
   A round looks at the messages that wait, and at what every profile that they touch has used of
   each limit:
     1. judged   per message, whether it touches more than one profile, and whether they may be
                 one (an identifier that nobody holds and that is left alone always joins its
                 forced group).
     2. weakest  what the messages drop that touch more than they may. A forced group's handle
                 goes with the member that it stands with: that one is the group's strongest in
                 the message that no cut takes out, so no other member is left when it is
                 dropped.
     3. open     the waiting messages that join profiles, without what they dropped.
     4. merged   those whose turn it is for all of their profiles, with the oldest of these: the
                 profiles are one now.
     5. dropped, waiting and usage of the next round: what was merged waits no longer, and counts
                 together.

   The model's SQL gives (arrival, identifier, stands_with, holder, drop_order). `limits` names
   the step that says what a holder counts against which rule and how much the rule allows,
   `decisions` the relation of what operators decided. The model's relation holds (arrival,
   identifier, rule): rule is `cut` or `merge_protection`. #}

{% materialization merge_protection, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- set state = namespace(round=0, left=0) -%}
    {%- set limits = cdp.identity_step(config.require('limits')) -%}
    {%- set decisions = cdp.identity_relation(config.require('decisions')) -%}
    {%- set contested = cdp.scratch('contested') -%}
    {%- set judged, weakest = cdp.scratch('judged'), cdp.scratch('weakest') -%}
    {%- set open, merged = cdp.scratch('open'), cdp.scratch('merged') -%}

    {#- Before the rounds #}
    {%- set cuts = cdp.scratch('dropped_0') -%}
    {%- set state.left = cdp.run_all(
        cdp.filled('contested', sql)
        + cdp.filled('dropped_0', cdp.protection_cuts(contested, decisions))
        + cdp.filled('waiting_0', cdp.protection_waiting_at_first(contested, cuts))
        + cdp.filled('usage_0', cdp.protection_usage_at_first(contested, limits))
        + [cdp.rows_in('waiting_0')]
    ) -%}

    {%- for _ in range(100000) -%}
        {%- if state.left == 0 -%}{%- break -%}{%- endif -%}
        {%- set before, after = state.round % 2, (state.round + 1) % 2 -%}
        {%- set state.round = state.round + 1 -%}
        {%- set dropped = cdp.scratch('dropped_' ~ before) -%}
        {%- set waiting = cdp.scratch('waiting_' ~ before) -%}
        {%- set usage = cdp.scratch('usage_' ~ before) -%}

        {#- 1. judged, 2. weakest, 3. open, 4. merged, 5. the next round's #}
        {%- set state.left = cdp.run_all(
            cdp.filled('judged', cdp.protection_judged(waiting, usage))
            + cdp.filled('weakest', cdp.protection_weakest(waiting, judged))
            + cdp.filled('open', cdp.protection_open(waiting, judged, weakest))
            + cdp.filled('merged', cdp.protection_merged(open))
            + cdp.filled('dropped_' ~ after, cdp.protection_dropped(dropped, weakest))
            + cdp.filled('waiting_' ~ after, cdp.protection_waiting(open, merged))
            + cdp.filled('usage_' ~ after, cdp.protection_usage(usage, merged))
            + [cdp.rows_in('waiting_' ~ after)]
        ) -%}
    {%- endfor -%}
    {%- if state.left > 0 -%}
        {{ exceptions.raise_compiler_error(
            'Merge protection did not settle after ' ~ state.round ~ ' rounds.'
        ) }}
    {%- endif -%}

    {%- set all_dropped -%}
select
    arrival,
    identifier,
    rule
from {{ cdp.scratch('dropped_' ~ state.round % 2) }}
    {%- endset -%}
    {%- do cdp.replace_table(target_relation, all_dropped) -%}
    {%- do cdp.run_all(
        cdp.emptied([
            'contested', 'judged', 'weakest', 'open', 'merged',
            'dropped_0', 'dropped_1', 'waiting_0', 'waiting_1', 'usage_0', 'usage_1',
        ])
        + ['select 1']
    ) -%}
    {%- do log('merge protection settled after ' ~ state.round ~ ' rounds', info=false) -%}

    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro protection_cuts(contested, decisions) -%}
select distinct
    gone.arrival,
    gone.identifier,
    'cut' as rule
from {{ decisions }} as cuts
inner join {{ contested }} as one on one.identifier = cuts.a_identifier
inner join {{ contested }} as other
    on other.arrival = one.arrival and other.identifier = cuts.b_identifier
inner join {{ contested }} as gone
    on
        gone.arrival = one.arrival
        and gone.stands_with = case
            when one.drop_order > other.drop_order then one.identifier else other.identifier
        end
where cuts.action = 'cut'
{%- endmacro %}

{% macro protection_waiting_at_first(contested, dropped) -%}
select
    contested.arrival,
    contested.identifier,
    contested.stands_with,
    contested.holder,
    contested.drop_order
from {{ contested }} as contested
left join {{ dropped }} as dropped
    on dropped.arrival = contested.arrival and dropped.identifier = contested.identifier
where dropped.arrival is null
{%- endmacro %}

{% macro protection_usage_at_first(contested, limits) -%}
select
    holder,
    rule,
    held,
    allowed
from {{ limits }}
where holder in (select holder from {{ contested }})
{%- endmacro %}

{# joins: 1 where the message touches more than one profile. is_broken: 1 where they may not be
   one, else null. #}
{% macro protection_judged(waiting, usage) -%}
select
    touched.arrival,
    case when min(touched.holder) < max(touched.holder) then 1 else 0 end as joins,
    case
        when
            min(touched.stands_with) = max(touched.stands_with)
            and max(
                case
                    when touched.identifier = touched.stands_with
                        and touched.holder = -touched.identifier
                        then 1
                    else 0
                end
            ) = 1
            then null
        else max(broken.is_broken)
    end as is_broken
from {{ waiting }} as touched
left join (
    select
        pairs.arrival,
        1 as is_broken
    from (
        select distinct
            arrival,
            holder
        from {{ waiting }}
    ) as pairs
    inner join {{ usage }} as used on used.holder = pairs.holder
    group by pairs.arrival, used.rule
    having sum(used.held) > min(used.allowed)
) as broken on broken.arrival = touched.arrival
group by touched.arrival
{%- endmacro %}

{% macro protection_weakest(waiting, judged) -%}
select
    waiting.arrival,
    waiting.identifier
from {{ waiting }} as waiting
inner join (
    select
        last.arrival,
        max(last.drop_order) as drop_order
    from {{ waiting }} as last
    inner join {{ judged }} as judged
        on judged.arrival = last.arrival and judged.joins = 1 and judged.is_broken = 1
    group by last.arrival
) as weakest on weakest.arrival = waiting.arrival
inner join {{ waiting }} as gone
    on
        gone.arrival = weakest.arrival
        and gone.drop_order = weakest.drop_order
        and gone.stands_with = waiting.stands_with
{%- endmacro %}

{% macro protection_open(waiting, judged, weakest) -%}
select
    waiting.arrival,
    waiting.identifier,
    waiting.stands_with,
    waiting.holder,
    waiting.drop_order,
    judged.is_broken
from {{ waiting }} as waiting
inner join {{ judged }} as judged on judged.arrival = waiting.arrival and judged.joins = 1
left join {{ weakest }} as weakest
    on weakest.arrival = waiting.arrival and weakest.identifier = waiting.identifier
where weakest.arrival is null
{%- endmacro %}

{% macro protection_merged(open) -%}
select distinct
    here.arrival,
    here.holder,
    turn.root
from {{ open }} as here
inner join (
    select
        mine.arrival,
        min(mine.holder) as root
    from {{ open }} as mine
    inner join (
        select
            holder,
            min(arrival) as arrival
        from {{ open }}
        group by holder
    ) as earliest on earliest.holder = mine.holder
    group by mine.arrival
    having
        max(earliest.arrival) = mine.arrival
        and min(earliest.arrival) = mine.arrival
        and max(mine.is_broken) is null
) as turn on turn.arrival = here.arrival
{%- endmacro %}

{% macro protection_dropped(dropped, weakest) -%}
select
    arrival,
    identifier,
    rule
from {{ dropped }}
union all
select
    arrival,
    identifier,
    'merge_protection' as rule
from {{ weakest }}
{%- endmacro %}

{% macro protection_waiting(open, merged) -%}
select
    here.arrival,
    here.identifier,
    here.stands_with,
    coalesce(merged.root, here.holder) as holder,
    here.drop_order
from {{ open }} as here
left join (
    select distinct
        holder,
        root
    from {{ merged }}
) as merged on merged.holder = here.holder
left join (
    select distinct arrival
    from {{ merged }}
) as done on done.arrival = here.arrival
where done.arrival is null
{%- endmacro %}

{% macro protection_usage(usage, merged) -%}
select
    coalesce(merged.root, used.holder) as holder,
    used.rule,
    sum(used.held) as held,
    min(used.allowed) as allowed
from {{ usage }} as used
left join (
    select distinct
        holder,
        root
    from {{ merged }}
) as merged on merged.holder = used.holder
group by coalesce(merged.root, used.holder), used.rule
{%- endmacro %}
