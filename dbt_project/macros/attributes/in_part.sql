{# An attribute worked out for the people who moved alone, and what it notes of that. #}

{# The relations that were written; none where the whole table must be, which then notes so. #}
{% macro recomputed_in_part() -%}
    {%- set recomputed = config.get('meta').recomputed -%}
    {%- set definition = local_md5(sql) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set events = 'from ' ~ ref('events') ~ ' as events' -%}
    {%- if not existing or not existing.is_table or should_full_refresh()
        or sql.count(events) != 1 or not cdp.may_recompute(definition) -%}
        {%- do post_hooks.append(
            {'sql': cdp.record_calculation(definition, true), 'transaction': true}
        ) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set columns = 'profile_id, ' ~ recomputed.column -%}
    {%- set of_moved = 'from (select * from ' ~ cdp.as_built('moved_events') ~ ' where '
        ~ cdp.moved_for(recomputed.hours) ~ ') as events' -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- call statement('main') -%}
delete from {{ this }} where profile_id in (
    {{ cdp.people_who_moved(recomputed.hours) }}
);
insert into {{ this }} ({{ columns }})
select {{ columns }}
from (
    {{ sql | replace(events, of_moved) }}
) as rows_now;
{{ cdp.record_calculation(definition, false) }}
    {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmacro %}

{# Whether an attribute's last state is the one that moved_events begins with (or ends with: it is
   built again), and moved_events is of this moment. #}
{% macro may_recompute(definition) -%}
    {{ return(cdp.scalar(
        'select count(*) as may from ' ~ cdp.as_built('calculated') ~ ' as own'
        ~ ' inner join ' ~ cdp.as_built('calculated') ~ " as pool on pool.relation = 'moved_events'"
        ~ ' inner join ' ~ cdp.as_built('current_build') ~ ' as build on build.as_of = pool.as_of'
        ~ " where own.relation = '" ~ this.identifier ~ "'"
        ~ " and own.definition = '" ~ definition ~ "' and not pool.is_whole"
        ~ ' and pool.write_id = ' ~ cdp.last_write()
        ~ ' and ((own.write_id = pool.since_write_id and own.as_of = pool.since_as_of)'
        ~ ' or (own.write_id = pool.write_id and own.as_of = pool.as_of))'
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
    {%- if not node or node.config.materialized != 'attribute' or not cdp.looks_at_this_build() -%}
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
