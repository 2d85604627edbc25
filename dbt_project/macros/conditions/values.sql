{# Conditions on a number, a boolean and a place: the positive operators; condition() turns them
   around and says what a missing value means. #}

{% macro number_condition(field, number, operator, value) -%}
    {%- for each in cdp.values_of(field, operator, value) if each is string -%}
        {{ cdp.refuse_condition(field, operator ~ " needs a number, not '" ~ each ~ "'") }}
    {%- endfor -%}
    {%- if operator == 'in' -%}
        {{ number }} in ({{ cdp.values_of(field, operator, value) | join(', ') }})
    {%- elif operator == 'between' -%}
        {%- set low, high = cdp.bounds_of(field, value) -%}
        {{ number }} >= {{ low }} and {{ number }} <= {{ high }}
    {%- else -%}
        {%- set sign = '=' if operator == 'equals' else operator -%}
        {{ number }} {{ sign }} {{ cdp.one_value(field, operator, value) }}
    {%- endif -%}
{%- endmacro %}

{# The two ends of a between, the lower one first. #}
{% macro bounds_of(field, value) -%}
    {%- if value is string or value is mapping or value is not sequence or value | length != 2
        or value[0] > value[1] -%}
        {{ cdp.refuse_condition(
            field, 'between needs two ends, the lower one first, not ' ~ value
        ) }}
    {%- endif -%}
    {{ return(value) }}
{%- endmacro %}

{# Of a number that is counted: the operator and the value. #}
{% macro comparison_of(field, name, value) -%}
    {%- if value is string or value is mapping or value is not sequence or value | length != 2 -%}
        {{ cdp.refuse_condition(
            field, name ~ " needs a comparison, like ('>=', 3), not " ~ value
        ) }}
    {%- endif -%}
    {{ return(value) }}
{%- endmacro %}

{% macro boolean_condition(field, boolean, operator, value) -%}
    {%- if operator == 'equals' and value is not boolean -%}
        {{ cdp.refuse_condition(
            field,
            'equals needs true or false here, not ' ~ value ~ ': write is_true or is_false'
        ) }}
    {%- endif -%}
    {%- set is_false = operator == 'is_false' or (operator == 'equals' and not value) -%}
    {{ 'not ' if is_false }}{{ boolean }}
{%- endmacro %}

{# Whether a place, in degrees, is within so many kilometres of another, on a ball of the Earth's
   mean radius. #}
{% macro within_km(lat_column, lon_column, lat, lon, km) -%}
    {%- if lat is not number or lon is not number or km is not number or km <= 0
        or lat < -90 or lat > 90 or lon < -180 or lon > 180 -%}
        {{ cdp.refuse_condition(
            'within_km of ' ~ lat_column ~ ', ' ~ lon_column,
            'write a place in degrees (latitude -90 to 90, longitude -180 to 180) and kilometres '
            ~ "above 0: within_km('people.lat', 'people.lon', 41.9, 12.5, 50)"
        ) }}
    {%- endif -%}
    {%- set radians = '0.017453292519943295' -%}
    {%- set half_lat = 'sin((' ~ lat_column ~ ' - (' ~ lat ~ ')) * ' ~ radians ~ ' / 2)' -%}
    {%- set half_lon = 'sin((' ~ lon_column ~ ' - (' ~ lon ~ ')) * ' ~ radians ~ ' / 2)' -%}
    (
        {{ lat_column }} is not null
        and {{ lon_column }} is not null
        and 12742.0176 * asin(sqrt(least(
            1.0,
            {{ half_lat }} * {{ half_lat }}
            + cos({{ lat_column }} * {{ radians }}) * cos(({{ lat }}) * {{ radians }})
            * {{ half_lon }} * {{ half_lon }}
        ))) <= {{ km }}
    )
{%- endmacro %}
