{# The catalogue of traits: vars: catalogue: traits. An entry is a type, or {type, from}. #}

{# {name: {type, from}} of every trait: `from` are the keys under which senders say it, the first that is there counts. A dot
   leads into an object. The name itself comes first, unless `from` has it elsewhere. #}
{% macro catalogue_traits() -%}
    {%- set types = ['text', 'email', 'phone', 'bigint', 'double', 'boolean', 'timestamp'] -%}
    {%- set traits = {} -%}
    {%- for name, entry in var('catalogue')['traits'].items() -%}
        {%- set entry = {'type': entry} if entry is string else entry -%}
        {%- set known = entry is mapping and entry.keys() | reject('in', ['type', 'from']) | list == []
            and entry.get('type') in types and (entry.get('from') or []) is not string -%}
        {%- if not known -%}
            {{ exceptions.raise_compiler_error(
                'dbt_project.yml: vars.catalogue.traits: ' ~ name ~ ' is ' ~ (entry['type'] if 'type' in entry else entry)
                ~ '; write a type (' ~ types | join(', ') ~ '), or {type: text, from: [key, object.key]}.'
            ) }}
        {%- endif -%}
        {%- set paths = entry.get('from') or [] -%}
        {%- do traits.update({name: {'type': entry['type'], 'from': paths if name in paths else [name] + paths}}) -%}
    {%- endfor -%}
    {{ return(traits) }}
{%- endmacro %}

{# A key, or a path with dots, as the trait of the catalogue that it says; a key of no trait is a trait of its own. #}
{% macro trait_of(path) -%}
    case {{ path }}
        {% for name, trait in cdp.catalogue_traits().items() -%}
        {% for key in trait['from'] if key != name -%}
        when {{ cdp.text_literal(key) }} then {{ cdp.text_literal(name) }}
        {% endfor -%}
        {% endfor -%}
        else {{ path }}
    end
{%- endmacro %}

{# Where a path stands among those of its trait. #}
{% macro place_of_path(path) -%}
    case {{ path }}
        {% for name, trait in cdp.catalogue_traits().items() -%}
        {% for key in trait['from'] if not loop.first -%}
        when {{ cdp.text_literal(key) }} then {{ loop.index }}
        {% endfor -%}
        {% endfor -%}
        else 1
    end
{%- endmacro %}

{# The objects that paths of the catalogue lead into: {'address': ['address.country']}. #}
{% macro trait_objects() -%}
    {%- set objects = {} -%}
    {%- for trait in cdp.catalogue_traits().values() -%}
        {%- for key in trait['from'] if '.' in key -%}
            {%- do objects.setdefault(key.split('.')[0], []).append(key) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(objects) }}
{%- endmacro %}

{# What a trait says, as text: of an address or a number what identity takes for one; null where it is blank, or is none. #}
{% macro said_of_trait(trait, value) -%}
    {%- set plain = "case when " ~ value ~ " not like '{%' and " ~ value ~ " not like '[%' then " ~ cdp.json_scalar(value) ~ " end" -%}
    case
        {% for name, entry in cdp.catalogue_traits().items() if entry['type'] in ('email', 'phone') -%}
        when {{ trait }} = {{ cdp.text_literal(name) }}
            then {{ cdp.let('contact_text', plain, cdp.contact_value(entry['type'], 'contact_text')) }}
        {% endfor -%}
        -- Nearly every text begins with a visible character.
        when {{ value }} like '"%' and not {{ cdp.matches_pattern(value, '^"[!#-Z^-~]') }}
            then {{ cdp.not_blank(cdp.json_scalar(value)) }}
        else {{ value }}
    end
{%- endmacro %}

{# A trait's text as its catalogue type. #}
{% macro catalogue_value(expression, type) -%}
    {%- if type == 'text' -%}{{ expression }}
    {%- elif type in ('email', 'phone') -%}{{ cdp.contact_value(type, expression) }}
    {%- elif type == 'timestamp' -%}{{ cdp.to_utc(expression) }}
    {%- else -%}{{ cdp.to_type(expression, type) }}
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
