{# What engines spell differently is a macro with one body per engine, `<target type>__<name>`; `default__<name>` is for all
   others, or this. #}
{% macro not_on_this_engine(name) -%}
    {{ exceptions.raise_compiler_error(
        "The models cannot run on target type '" ~ target.type ~ "' yet: it has no " ~ name ~ ". Add the macro "
        ~ target.type ~ "__" ~ name ~ " to dbt_project/macros/dialect/."
    ) }}
{%- endmacro %}
