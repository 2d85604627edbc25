{# The schema carries the layer, so it is the folder's +schema as written, without a prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}

{# A full refresh drops the relations of models that the project no longer has. `cdp run` names them (relations.py), because
   only it knows what this home built; a dbt that is started by hand drops nothing. #}
{% macro drop_left_behind() -%}
    {% if execute and flags.FULL_REFRESH and flags.WHICH == 'build' %}
        {% for name, kind in fromjson(env_var('CDP_LEFT_BEHIND', '{}')).items() %}
            {% set schema, identifier = name.split('.', 1) %}
            {% set relation = adapter.get_relation(target.database, schema, identifier) %}
            {% if relation %}{% do adapter.drop_relation(relation) %}{% endif %}
        {% endfor %}
    {% endif %}
{%- endmacro %}
