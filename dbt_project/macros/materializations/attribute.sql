{# An attribute that is one call of a helper (macros/attributes/recomputed.sql): where it may be, its
   query is asked about the people who moved alone, and their rows are replaced; else it is a table
   that is made whole. #}

{% materialization attribute, adapter='duckdb' %}
    {{ return(cdp.recomputed_in_part() or dbt.materialization_table_duckdb()) }}
{% endmaterialization %}

{% materialization attribute, adapter='postgres' %}
    {{ return(cdp.recomputed_in_part() or dbt.materialization_table_default()) }}
{% endmaterialization %}

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
