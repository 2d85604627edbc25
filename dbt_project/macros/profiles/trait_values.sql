{# What identify messages say of traits, read once when a message comes (profiles.trait_writes). #}

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

{# [{object: [path, …]}, …] by depth: the objects that paths of the catalogue lead into, with the
   paths that lie in them, however deep. #}
{% macro trait_objects() -%}
    {%- set levels = [] -%}
    {%- for trait in cdp.catalogue_traits().values() -%}
        {%- for path in trait['from'] if '.' in path -%}
            {%- set keys = path.split('.') -%}
            {%- for depth in range(1, keys | length) -%}
                {%- if levels | length < depth -%}{%- do levels.append({}) -%}{%- endif -%}
                {%- do levels[depth - 1].setdefault(keys[:depth] | join('.'), []).append(path) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(levels) }}
{%- endmacro %}

{# What a value (JSON text) says as plain text; null where it is blank, null, an object or an array. #}
{% macro said_text(value) -%}
    case
        -- Nearly every text is of plain characters, none of them escaped, and begins with a visible one.
        when {{ value }} like '"%'
            then case
                when {{ cdp.matches_pattern(value, '^"[!#-Z^-~][ !#-Z^-~]*"$') }}
                    then substring({{ value }}, 2, length({{ value }}) - 2)
                when {{ cdp.matches_pattern(value, '^"[!#-Z^-~]') }} then {{ cdp.json_scalar(value) }}
                else {{ cdp.not_blank(cdp.json_scalar(value)) }}
            end
        when {{ value }} <> 'null' and {{ value }} not like '{' || '%' and {{ value }} not like '[%' then {{ value }}
    end
{%- endmacro %}

{# Whether a value removes its trait: null does; so does false, where the trait is a tag. #}
{% macro removes_trait(trait, value, text) -%}
    {{ value }} = 'null'
    {%- set tags = cdp.traits_with('type', ['tag']) -%}
    {%- if tags %} or ({{ cdp.trait_is_in(trait, tags) }} and lower(coalesce({{ text }}, '')) = 'false'){% endif -%}
{%- endmacro %}

{# A trait's value as the text of its catalogue type, spelled one way, so that a cast reads it: null
   where it is of another type, and where the catalogue does not have the trait. `moment` is the
   text as a time, of traits that are times. #}
{% macro typed_trait(trait, value, text, moment) -%}
    {%- set types = {} -%}
    {%- for name, entry in cdp.catalogue_traits().items() -%}
        {%- do types.setdefault(entry['type'], []).append(name) -%}
    {%- endfor -%}
    case
        {% for type, names in types.items() -%}
        when {{ cdp.trait_is_in(trait, names) }} then
        {%- if type == 'text' %} {{ text }}
        {%- elif type in ('email', 'phone') %} {{ cdp.let('contact_text', text, cdp.contact_value(type, 'contact_text')) }}
        {%- elif type == 'number' %} case when {{ cdp.is_plain_number(text) }} then {{ text }} end
        {%- elif type == 'money' %}
            case
                when {{ cdp.is_plain_number(text) }} then {{ text }}
                when {{ text }} <> '' then cast({{ cdp.money_amount(text) }} as {{ dbt.type_string() }})
            end
        {%- elif type == 'integer' %}
            case
                when {{ cdp.is_whole_number(text) }}
                    then cast({{ cdp.to_type(cdp.whole_number(text), 'bigint') }} as {{ dbt.type_string() }})
            end
        {%- elif type == 'boolean' %}
            case
                when lower({{ text }}) in ('true', '1', 'yes') then 'true'
                when lower({{ text }}) in ('false', '0', 'no') then 'false'
            end
        {%- elif type == 'timestamp' %} cast({{ moment }} as {{ dbt.type_string() }})
        {%- elif type == 'date' %}
            cast(cast({{ dbt.date_trunc('day', moment) }} as {{ dbt.type_timestamp() }}) as {{ dbt.type_string() }})
        {%- elif type == 'list' %} case when {{ value }} like '[%' then {{ value }} end
        {%- elif type == 'map' %} case when {{ value }} like '{' || '%' then {{ value }} end
        {%- elif type == 'tag' %} 'true'
        {%- endif %}
        {% endfor -%}
        else cast(null as {{ dbt.type_string() }})
    end
{%- endmacro %}

{# A typed text, as typed_trait spells it, in the type of its column. #}
{% macro trait_column(expression, type) -%}
    {%- if type in ('text', 'email', 'phone', 'list', 'map') -%}{{ expression }}
    {%- elif type in ('date', 'timestamp') -%}cast({{ expression }} as {{ dbt.type_timestamp() }})
    {%- elif type == 'integer' -%}{{ cdp.to_type(expression, 'bigint') }}
    {%- elif type in ('boolean', 'tag') -%}cast({{ expression }} as {{ dbt.type_boolean() }})
    {%- else -%}{{ cdp.to_type(expression, 'double') }}
    {%- endif -%}
{%- endmacro %}

{# The traits of another type than the catalogue says, as rows for the quarantine: message_id,
   arrival, field, reason, detail (the value as JSON text). #}
{% macro trait_faults() -%}
select
    writes.message_id,
    writes.arrival,
    writes.field,
    'wrong_type' as reason,
    writes.value as detail
from {{ ref('trait_writes') }} as writes
where writes.is_wrong_type
{%- endmacro %}
