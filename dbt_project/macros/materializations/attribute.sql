{# An attribute that is one call of a helper (macros/attributes/recomputed.sql): where it may be, its
   query is asked about the people who moved alone, and their rows are replaced; else it is a table
   that is made whole. #}

{% materialization attribute, adapter='duckdb' %}
    {{ return(cdp.recomputed_in_part() or dbt.materialization_table_duckdb()) }}
{% endmaterialization %}

{% materialization attribute, adapter='postgres' %}
    {{ return(cdp.recomputed_in_part() or dbt.materialization_table_default()) }}
{% endmaterialization %}
