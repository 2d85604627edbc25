{# Fails for each row that only one of the two relations holds, compared by the columns. #}
{% test same_rows(model, to, columns) %}
select {{ columns | join(', ') }}
from (
    select {{ columns | join(', ') }}, 1 as side from {{ model }}
    union all
    select {{ columns | join(', ') }}, -1 as side from {{ to }}
) as both_sides
group by {{ columns | join(', ') }}
having sum(side) <> 0
{% endtest %}
