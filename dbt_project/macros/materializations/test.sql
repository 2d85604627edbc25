{# dbt's own test; and where it fails, dbt's log names each promise that is broken, which its count of rows does not, and the
   file of the model that broke it. #}
{% materialization test, default %}
    {%- set made = dbt.materialization_test_default() -%}
    {%- if (model.test_metadata or {}).name in ['holds', 'is_audience', 'is_attribute', 'is_sync', 'is_table'] -%}
        {%- if load_result('main').table.rows[0][0] > 0 -%}
            {%- set node = graph.nodes.get(model.attached_node) -%}
            {%- set file = ' in ' ~ node.original_file_path if node else '' -%}
            {%- for promise, broken in run_query(sql).rows -%}
                {%- do log(cdp.broken_in_words(promise, broken) ~ file, info=true) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(made) }}
{% endmaterialization %}
