{# Tables that only the build that writes them reads: replaced by each, and stored as fast as
   they are written. dbt's own `table` keeps the old one beside the new one and renames both,
   which is four more statements for every model. #}

{% materialization intermediate, default %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- do cdp.replace_table(target_relation, sql) -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro replace_table(target_relation, sql) -%}
    {{ return(adapter.dispatch('replace_table', 'cdp')(target_relation, sql)) }}
{%- endmacro %}

{% macro default__replace_table(target_relation, sql) -%}
    {%- set existing = adapter.get_relation(this.database, this.schema, this.identifier) -%}
    {%- if existing -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {%- call statement('main') -%}{{ create_table_as(false, target_relation, sql) }}{%- endcall -%}
{%- endmacro %}

{% macro duckdb__replace_table(target_relation, sql) -%}
    {%- set existing = adapter.get_relation(this.database, this.schema, this.identifier) -%}
    {%- if existing and not existing.is_table -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- call statement('main') -%}
        {{ cdp.written_for_this_build() }};
        create or replace table {{ target_relation }} as (
            {{ sql }}
        );
        {{ cdp.written_to_stay() }}
    {%- endcall -%}
{%- endmacro %}
