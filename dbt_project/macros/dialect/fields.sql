{# Fields that must be one value. JSON lets a sender put anything anywhere: an array for a user id, an object for an e-mail. Such a
   field is null, and told as unusable; the rest of the record counts.

   `fields`: {column: path}. `words` are texts or numbers (what can identify or be a name), `scalars` may be booleans, too;
   a whole number is spelled without a fraction (4214.0 is 4214). Fields that are in neither list come as with_json_fields gives them;
   `raw` is as there. `faults` names a column with what is unusable, as unusable_fields gives it; `more_faults`: columns that hold
   such already. #}
{% macro with_fields(source_sql, column, fields, words=[], scalars=[], raw=[], faults='field_faults', more_faults=[]) -%}
    {{ return(adapter.dispatch('with_fields', 'cdp')(source_sql, column, fields, words, scalars, raw, faults, more_faults)) }}
{%- endmacro %}

{# The texts alone tell which records are worth a look at what their values are: few. #}
{% macro default__with_fields(source_sql, column, fields, words, scalars, raw, faults, more_faults) -%}
{%- set checked = words + scalars -%}
{%- set read = {} -%}
{%- for name, path in fields.items() -%}{%- do read.update({name ~ '__read' if name in checked else name: path}) -%}{%- endfor -%}
{%- set texts, told = [], [] -%}
{%- for name in checked -%}
    {%- do texts.append('read_fields.' ~ name ~ '__read') -%}
    {%- set value = 'looked_at.' ~ name ~ '__value' -%}
    {%- set refused = cdp.holds_object(value) ~ ' or ' ~ cdp.holds_array(value)
        ~ (" or " ~ value ~ " in ('true', 'false')" if name in words else '') -%}
    {%- do told.append(cdp.not_a_text_or_number(fields[name], refused, value)) -%}
{%- endfor -%}
{%- for column_name in more_faults -%}{%- do told.append(cdp.inner_faults('looked_at.' ~ column_name)) -%}{%- endfor -%}
select
    looked_at.*,
    {% for name in checked -%}
    {%- set value = 'looked_at.' ~ name ~ '__value' -%}
    case
        when {{ value }} is null or {{ value }} like '"%' then looked_at.{{ name }}__read
        when {{ cdp.holds_object(value) }} or {{ cdp.holds_array(value) }} then null
        when {{ value }} in ('true', 'false') then {{ 'null' if name in words else 'looked_at.' ~ name ~ '__read' }}
        else {{ cdp.whole_number('looked_at.' ~ name ~ '__read') }}
    end as {{ name }},
    {% endfor -%}
    case
        when looked_at.has_odd_fields{% for column_name in more_faults %} or looked_at.{{ column_name }} is not null{% endfor %}
            then nullif('[' || {{ cdp.join_parts(told) }} || ']', '[]')
    end as {{ faults }}
from (
    select
        odd_fields.*{% for name in checked %},
        case
            when odd_fields.has_odd_fields and {{ cdp.matches_pattern('odd_fields.' ~ name ~ '__read', '^' ~ cdp.odd_value()) }}
                then {{ cdp.json_value('odd_fields.' ~ column, fields[name]) }}
        end as {{ name }}__value{% endfor %}
    from (
        select
            read_fields.*,
            {{ cdp.matches_pattern(cdp.join_parts(texts), '(^|,)' ~ cdp.odd_value()) }} as has_odd_fields
        from (
            {{ cdp.with_json_fields(source_sql, column, read, raw) }}
        ) as read_fields
    ) as odd_fields
) as looked_at
{%- endmacro %}

{# All texts of a record in one list and all values in another, so that what holds for every field is said once: said of each, it
   would take longer to plan than to run. Few records are looked at twice. #}
{% macro duckdb__with_fields(source_sql, column, fields, words, scalars, raw, faults, more_faults) -%}
{%- set checked = words + scalars -%}
{%- set texts = checked + (fields.keys() | reject('in', checked + raw) | list) -%}
{%- set first_texts, paths, names, are_words = [], [], [], [] -%}
{%- for name in checked -%}
    {%- do first_texts.append('read_texts[' ~ loop.index ~ ']') -%}
    {%- do paths.append("'" ~ cdp.json_path(fields[name]) ~ "'") -%}
    {%- do names.append(cdp.text_literal(cdp.path_key(fields[name] | join('.')))) -%}
    {%- do are_words.append('true' if name in words else 'false') -%}
{%- endfor -%}
{%- set refused = cdp.holds_object('field[2]') ~ ' or ' ~ cdp.holds_array('field[2]') ~ " or (field[4] and field[2] in ('true', 'false'))" -%}
{%- set told = ["nullif(array_to_string(list_transform(odd_fields, lambda field: field.fault), ','), '')"] -%}
{%- for column_name in more_faults -%}{%- do told.append(cdp.inner_faults(column_name)) -%}{%- endfor -%}
select
    * exclude (read_texts, odd_fields, said_texts{{ ', read_values' if raw }}),
    {% for name in fields -%}
    {% if name in raw -%}
    nullif(cast(read_values[{{ raw.index(name) + 1 }}] as varchar), 'null') as {{ name }},
    {% elif name in checked -%}
    said_texts[{{ checked.index(name) + 1 }}] as {{ name }},
    {% else -%}
    read_texts[{{ texts.index(name) + 1 }}] as {{ name }},
    {% endif %}
    {%- endfor -%}
    case
        when odd_fields is not null{% for column_name in more_faults %} or {{ column_name }} is not null{% endfor %}
            then nullif('[' || {{ cdp.join_parts(told) }} || ']', '[]')
    end as {{ faults }}
from (
    select
        *,
        case when odd_fields is null then read_texts else list_transform(odd_fields, lambda field: field.said) end as said_texts
    from (
        select
            *,
            case
                when {{ cdp.matches_pattern(cdp.join_parts(first_texts), '(^|,)' ~ cdp.odd_value()) }}
                    then list_transform(
                        list_zip(
                            [{{ first_texts | join(', ') }}],
                            cast(json_extract({{ column }}, [{{ paths | join(', ') }}]) as varchar[]),
                            [{{ names | join(', ') }}],
                            [{{ are_words | join(', ') }}]
                        ),
                        lambda field: {
                            'said': case
                                when {{ refused }} then null
                                when field[2] is null or field[2] like '"%' or field[2] in ('null', 'true', 'false') then field[1]
                                else {{ cdp.whole_number('field[1]') }}
                            end,
                            'fault': case
                                when {{ refused }}
                                    then '{"field":"' || field[3] || '","reason":"not_a_text_or_number","detail":'
                                    || {{ cdp.json_quote('field[2]') }} || '}'
                            end
                        }
                    )
            end as odd_fields
        from (
            select
                records.*,
                json_extract_string(records.{{ column }}, [
                    {% for name in texts %}'{{ cdp.json_path(fields[name]) }}'{{ ', ' if not loop.last }}{% endfor %}
                ]) as read_texts{% if raw %},
                json_extract(records.{{ column }}, [
                    {% for name in raw %}'{{ cdp.json_path(fields[name]) }}'{{ ', ' if not loop.last }}{% endfor %}
                ]) as read_values{% endif %}
            from {{ source_sql }} as records
        ) as read_fields
    ) as looked_at
) as said_fields
{%- endmacro %}

{# A fault as JSON, where the condition holds. #}
{% macro not_a_text_or_number(path, condition, value) -%}
    case
        when {{ condition }}
            then '{"field":"{{ cdp.path_key(path | join(".")) | replace("'", "''") }}","reason":"not_a_text_or_number","detail":' || {{ cdp.json_quote(value) }} || '}'
    end
{%- endmacro %}

{# How a text begins that may come from an array, an object, a boolean, or a number that is not spelled in digits alone. #}
{% macro odd_value() -%}
    ([[{]|true|false|-?[0-9.]+(e|[.]0))
{%- endmacro %}
