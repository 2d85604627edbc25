{# Scratch tables of one materialization, and statements sent together: what a loop to a fixpoint is
   made of. Engines with temporary tables use them; elsewhere a scratch table is a table of the
   model's schema, named after the model. #}

{% macro scratch(name) -%}
    {{ return(adapter.dispatch('scratch', 'cdp')(name)) }}
{%- endmacro %}

{% macro default__scratch(name) -%}
    {{ return(this.database ~ '.' ~ this.schema ~ '._' ~ this.identifier ~ '__' ~ name) }}
{%- endmacro %}

{% macro duckdb__scratch(name) -%}
    {{ return('_' ~ this.identifier ~ '__' ~ name) }}
{%- endmacro %}

{# The statements that make a scratch table from a select. #}
{% macro filled(name, sql) -%}
    {{ return(adapter.dispatch('filled', 'cdp')(cdp.scratch(name), sql)) }}
{%- endmacro %}

{% macro default__filled(table, sql) -%}
    {{ return(['drop table if exists ' ~ table, 'create table ' ~ table ~ ' as ' ~ sql]) }}
{%- endmacro %}

{% macro duckdb__filled(table, sql) -%}
    {{ return(['create or replace temp table ' ~ table ~ ' as ' ~ sql]) }}
{%- endmacro %}

{% macro emptied(names) -%}
    {%- set statements = [] -%}
    {%- for name in names -%}
        {%- do statements.append('drop table if exists ' ~ cdp.scratch(name)) -%}
    {%- endfor -%}
    {{ return(statements) }}
{%- endmacro %}

{# A query for `run_all` to end with: how many rows a scratch table has. #}
{% macro rows_in(name) -%}
select count(*) from {{ cdp.scratch(name) }}
{%- endmacro %}

{# Run statements in order; returns the one value of the last, a query. #}
{% macro run_all(statements) -%}
    {{ return(adapter.dispatch('run_all', 'cdp')(statements)) }}
{%- endmacro %}

{% macro default__run_all(statements) -%}
    {%- for statement in statements[:-1] -%}{%- do run_query(statement) -%}{%- endfor -%}
    {{ return(cdp.scalar(statements[-1])) }}
{%- endmacro %}

{% macro duckdb__run_all(statements) -%}
    {{ return(cdp.scalar(statements | join(';\n'))) }}
{%- endmacro %}

{# What a connection needs before a statement of many long expressions, as a pre-hook of all
   models. #}
{% macro unhurried() -%}
    {{ return(adapter.dispatch('unhurried', 'cdp')()) }}
{%- endmacro %}

{% macro default__unhurried() -%}
{%- endmacro %}

{# What a table needs once it is written, as a post-hook of every model: statistics, where the
   engine does not keep its own. #}
{% macro settled() -%}
    {{ return(adapter.dispatch('settled', 'cdp')()) }}
{%- endmacro %}

{% macro default__settled() -%}
{%- endmacro %}
