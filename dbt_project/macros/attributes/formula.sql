{# A value out of other attributes: an expression over their columns. A row for each person who has
   one of them; of the others the columns are null. `type`: a type of the catalogue; / divides
   whole numbers without cutting the rest off. #}
{% macro formula(expression, of, type='number') -%}
{%- set of = [of] if of is string else of -%}
{%- set types = cdp.property_types() -%}
{%- if type not in types -%}
    {%- do cdp.refuse_attribute(
        'formula', 'type is ' ~ type ~ '; write one of ' ~ types | join(', ') ~ '.'
    ) -%}
{%- endif -%}
{%- if not of -%}
    {%- do cdp.refuse_attribute(
        'formula', "of is empty; name the attributes it is made of: of=['order_count']."
    ) -%}
{%- endif -%}
{%- set relations = [] -%}
{%- for name in of -%}
    {%- do cdp.refuse_no_attribute(name) -%}
    {%- do relations.append(ref(name)) -%}
{%- endfor -%}
{%- set division = '* cast(1 as ' ~ cdp.type_double() ~ ') /' -%}
{%- set parts = [] -%}
{%- for part in expression.split("'") -%}
    {#- What is between quotes is a text. -#}
    {%- do parts.append(part | replace('/', division) if loop.index is odd else part) -%}
{%- endfor -%}
{%- set column = cdp.attribute_column('formula', kwargs) -%}
select
    people.profile_id,
    cast({{ parts | join("'") }} as {{ types[type] }}) as {{ column }}
from (
    select profile_id
    from (
        {%- for relation in relations %}
        {{ 'union all ' if not loop.first }}select profile_id from {{ relation }}
        {%- endfor %}
    ) as each_of_them
    group by profile_id
) as people
{%- for relation in relations %}
left join {{ relation }} as of_{{ loop.index }}
    on of_{{ loop.index }}.profile_id = people.profile_id
{%- endfor %}
{%- endmacro %}

{# Stops where a formula names what is no attribute. (Of what is no model at all dbt itself says so
   before, when it knows the models. A unit test knows none.) #}
{% macro refuse_no_attribute(name) -%}
    {%- if execute and graph.get('nodes') -%}
        {%- set attributes = [] -%}
        {%- for node in graph.nodes.values() if '4_attributes' in node.fqn -%}
            {%- if node.resource_type == 'model' -%}
                {%- do attributes.append(node.name) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if name not in attributes -%}
            {%- do cdp.refuse_attribute(
                'formula',
                'of ' ~ name ~ ' is no attribute; there are ' ~ attributes | sort | join(', ')
                ~ '. Correct the name, or add dbt_project/models/4_attributes/' ~ name ~ '.sql.'
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
