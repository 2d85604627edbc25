{# A trait's text as its catalogue type. #}
{% macro catalogue_value(expression, type) -%}
    {%- if type == 'text' -%}{{ expression }}
    {%- elif type == 'email' -%}lower(trim({{ expression }}))
    {%- elif type == 'timestamp' -%}{{ cdp.to_utc(expression) }}
    {%- elif type in ('bigint', 'double', 'boolean') -%}{{ cdp.to_type(expression, type) }}
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "dbt_project.yml: vars.catalogue.traits has the unknown type '" ~ type
            ~ "'; use text, email, bigint, double, boolean or timestamp."
        ) }}
    {%- endif -%}
{%- endmacro %}

{# A relation of the profiles that granted a purpose, with the message that did: join it to hold back everybody else. #}
{% macro consented(regulation, purpose) -%}
(
    select
        consents.profile_id,
        consents.message_id
    from {{ ref('consents') }} as consents
    where consents.regulation = '{{ regulation }}' and consents.purpose = '{{ purpose }}' and consents.state = 'granted'
)
{%- endmacro %}
