{# An attribute worked out for the people who moved alone, and what it notes of that. #}

{# The relations that were written; none where the whole table must be, by dbt's own `table`, which
   then notes so. #}
{% macro recomputed_in_part() -%}
    {%- set recomputed = config.get('meta').recomputed -%}
    {%- set definition = local_md5(sql) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set part = this.incorporate(path={'identifier': this.identifier ~ '__part'}) -%}
    {%- set query = sql.split('-- kept part\n') -%}
    {%- set has_part = query | length == 2 -%}
    {%- set of_people = query[1].split('\n-- end of kept part') if has_part else [sql] -%}
    {%- set final = query[0] ~ 'select * from ' ~ part ~ of_people[1] if has_part -%}
    {%- set events = 'from ' ~ ref('events') ~ ' as events' -%}
    {%- set whole = not existing or not existing.is_table or cdp.should_full_refresh()
        or of_people[0].count(events) != 1
        or not cdp.may_recompute(definition, (recomputed.part or {}).period_days) -%}
    {%- if whole and not has_part -%}
        {%- do post_hooks.append(
            {'sql': cdp.record_calculation(definition, true), 'transaction': true}
        ) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set moved = cdp.people_who_moved(recomputed.hours) -%}
    {%- set of_moved = of_people[0] | replace(
        events,
        'from (select * from ' ~ cdp.as_built('moved_events') ~ ' where '
        ~ cdp.moved_for(recomputed.hours) ~ ') as events'
    ) -%}
    {%- set columns = 'profile_id, ' ~ recomputed.column -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- if whole -%}
        {%- call statement('part') -%}
drop table if exists {{ part }};
create table {{ part }} as
{{ of_people[0] }}
        {%- endcall -%}
        {%- if existing -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
        {%- call statement('main') -%}{{ create_table_as(false, target_relation, final) }}{%- endcall -%}
        {%- call statement('note') -%}{{ cdp.record_calculation(definition, true) }}{%- endcall -%}
    {%- elif has_part -%}
        {%- call statement('main') -%}
delete from {{ part }} where profile_id in (
    {{ moved }}
);
insert into {{ part }}
{{ of_moved }};
delete from {{ this }};
insert into {{ this }} ({{ columns }})
select {{ columns }}
from (
    {{ final }}
) as rows_now;
{{ cdp.record_calculation(definition, false) }}
        {%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%}
delete from {{ this }} where profile_id in (
    {{ moved }}
);
insert into {{ this }} ({{ columns }})
select {{ columns }}
from (
    {{ of_moved }}
) as rows_now;
{{ cdp.record_calculation(definition, false) }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmacro %}

{# Whether an attribute's last state is the one that moved_events begins with (or ends with: it is
   built again), and moved_events is of this moment. `period_days`: and no such period, counted from
   1970, has ended since. #}
{% macro may_recompute(definition, period_days=none) -%}
    {{ return(cdp.scalar(
        'select count(*) as may from ' ~ cdp.as_built('calculated') ~ ' as own'
        ~ ' inner join ' ~ cdp.as_built('calculated') ~ " as pool on pool.relation = 'moved_events'"
        ~ ' inner join ' ~ cdp.as_built('current_build') ~ ' as build on build.as_of = pool.as_of'
        ~ " where own.relation = '" ~ this.identifier ~ "'"
        ~ " and own.definition = '" ~ definition ~ "' and not pool.is_whole"
        ~ ' and pool.write_id = ' ~ cdp.last_write()
        ~ ' and ((own.write_id = pool.since_write_id and own.as_of = pool.since_as_of)'
        ~ ' or (own.write_id = pool.write_id and own.as_of = pool.as_of))'
        ~ (' and floor(' ~ cdp.lives_since_1970('own.as_of', period_days) ~ ') = floor('
        ~ cdp.lives_since_1970('build.as_of', period_days) ~ ')' if period_days else '')
    ) == 1) }}
{%- endmacro %}

{# In the transaction that writes an attribute: what it is made of now. #}
{% macro record_calculation(definition, is_whole) -%}
delete from {{ cdp.as_built('calculated') }} where relation = '{{ this.identifier }}';
insert into {{ cdp.as_built('calculated') }} (
    relation, write_id, as_of, is_whole, build_id, definition
)
select
    '{{ this.identifier }}',
    {{ cdp.last_write() }},
    build.as_of,
    {{ is_whole }},
    build.build_id,
    '{{ definition }}'
from {{ cdp.as_built('current_build') }} as build
{%- endmacro %}

{# The condition that the rows of an attribute meet that this build wrote; none where it wrote all of
   them. For is_attribute. #}
{% macro recomputed_rows(relation) -%}
    {%- set node = graph.nodes.get('model.cdp.' ~ relation.identifier) if execute -%}
    {%- if not node or node.config.materialized != 'attribute'
        or node.config.meta.recomputed.part is not none or not cdp.looks_at_this_build() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set in_part = cdp.scalar(
        'select count(*) as in_part from ' ~ cdp.as_built('calculated') ~ " where relation = '"
        ~ relation.identifier ~ "' and not is_whole and build_id = '" ~ cdp.this_build_id() ~ "'"
    ) == 1 -%}
    {{ return(
        'profile_id in (' ~ cdp.people_who_moved(node.config.meta.recomputed.hours) ~ ')'
        if in_part else none
    ) }}
{%- endmacro %}

{% macro people_who_moved(hours) -%}
    select moved.profile_id
    from {{ cdp.as_built('moved_events') }} as moved
    where moved.occurred_at is null and {{ cdp.moved_for(hours) }}
{%- endmacro %}
