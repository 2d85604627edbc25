{# Fails for each row that lacks one of the columns: one pass for all of them. #}
{% test never_null(model, columns) %}
select *
from {{ model }}
where
    {%- for column in columns %}
    {{ 'or ' if not loop.first }}{{ cdp.column_name(column) }} is null
    {%- endfor %}
{% endtest %}
