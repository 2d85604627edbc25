{# Replacing all rows of a key, on engines that cannot delete and insert in one transaction. #}

{# One statement: every key that comes again is deleted by a row that carries it as `cdp_gone`, and the rows themselves, whose
   `cdp_gone` is null, match nothing and are inserted. #}
{% macro replacing_merge(target_relation, from, key, columns) -%}
{%- set keys = [key] if key is string else key -%}
merge into {{ target_relation }} as kept
using (
    select {% for column in columns %}rows_now.{{ column }}, {% endfor %}cast(null as {{ dbt.type_string() }}) as cdp_gone
    from {{ from }} as rows_now
    union all
    select {% for column in columns %}null as {{ column }}, {% endfor %}gone.cdp_gone
    from (select distinct {{ cdp.joined_key('again', keys) }} as cdp_gone from {{ from }} as again) as gone
) as given
on {{ cdp.joined_key('kept', keys) }} = given.cdp_gone
when matched then delete
when not matched and given.cdp_gone is null then
    insert ({{ columns | join(', ') }})
    values ({% for column in columns %}given.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro joined_key(relation, keys) -%}
    {% for key in keys %}cast({{ relation }}.{{ key }} as {{ dbt.type_string() }}){{ " || '|' || " if not loop.last }}{% endfor %}
{%- endmacro %}

{# The columns of a contract with types that this engine spells differently. #}
{% macro contract_types(columns, spelled) -%}
    {%- set changed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do changed.update({name: dict(column, data_type=spelled.get(column.get('data_type') | lower, column.get('data_type')))}) -%}
    {%- endfor -%}
    {{ return(changed) }}
{%- endmacro %}
