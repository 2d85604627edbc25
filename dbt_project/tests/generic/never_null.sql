{# Fails for each row that lacks one of the columns: one pass for all of them. #}
{% test never_null(model, columns) %}
select *
from {{ model }}
where {% for column in columns %}{{ cdp.column_name(column) }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
