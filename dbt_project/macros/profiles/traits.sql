{# The catalogue of traits: vars: catalogue: traits. An entry is a type, or {type, from, merge,
   capacity, ttl_days, pii, description}; docs/profiles.md says what each means. #}

{# The columns of profiles.profiles that no trait may be called after. #}
{% macro fixed_profile_columns() -%}
    {{ return(['profile_id', 'first_seen_at', 'last_seen_at', 'is_known']) }}
{%- endmacro %}

{# {rule: the types that it makes sense for}. #}
{% macro merge_rules() -%}
    {%- set numbers = ['number', 'money', 'integer'] -%}
    {%- set ordered = numbers + ['date', 'timestamp'] -%}
    {%- set every = cdp.property_types() | list -%}
    {{ return({
        'latest': every, 'oldest': every, 'min': ordered, 'max': ordered, 'sum': numbers, 'count': every,
        'union': ['list', 'map', 'text', 'email', 'phone'],
    }) }}
{%- endmacro %}

{# {name: {type, from, merge, capacity, ttl_days, column_type}} of every trait: `from` are the keys
   under which senders say it, the first that is there counts; a dot leads into an object. The name
   itself comes first, unless `from` has it elsewhere. `column_type` is what profiles.profiles shows:
   a count is an integer, a union of texts a list. #}
{% macro catalogue_traits() -%}
    {%- set traits, columns, keys = {}, [], {} -%}
    {%- for name, given in (var('catalogue').get('traits') or {}).items() -%}
        {%- set entry = dict({'type': given} if given is string else given or {}) -%}
        {%- set older = {'bigint': 'integer', 'double': 'number'} -%}
        {%- do entry.update({'type': older.get(entry.get('type'), entry.get('type'))}) -%}
        {%- do cdp.refuse_trait(name, given, entry, columns) -%}
        {%- do columns.append(name | lower) -%}
        {%- set paths = entry.get('from') or [] -%}
        {%- set paths = paths if name in paths else [name] + paths -%}
        {%- for path in paths -%}
            {%- if keys.get(path, name) != name -%}
                {%- do cdp.refuse_entry(
                    name, "reads '" ~ path ~ "', which " ~ keys[path] ~ ' reads already: leave it to one of the two'
                ) -%}
            {%- endif -%}
            {%- do keys.update({path: name}) -%}
        {%- endfor -%}
        {%- set merge = entry.get('merge', 'latest') -%}
        {%- set type = 'map' if entry['type'] == 'map' else 'list' -%}
        {%- do traits.update({name: {
            'type': entry['type'], 'from': paths, 'merge': merge, 'capacity': entry.get('capacity'),
            'ttl_days': entry.get('ttl_days'),
            'column_type': {'count': 'integer', 'union': type}.get(merge, entry['type']),
        }}) -%}
    {%- endfor -%}
    {{ return(traits) }}
{%- endmacro %}

{% macro refuse_entry(name, told) -%}
    {{ exceptions.raise_compiler_error('dbt_project.yml: vars.catalogue.traits: ' ~ name ~ ' ' ~ told ~ '.') }}
{%- endmacro %}

{# Stops with the file, the field and the remedy where an entry makes no sense. #}
{% macro refuse_trait(name, given, entry, columns) -%}
    {%- set types = cdp.property_types() | list -%}
    {%- set known = ['type', 'from', 'merge', 'capacity', 'ttl_days', 'pii', 'description'] -%}
    {%- if entry.get('type') not in types or entry.keys() | reject('in', known) | list
        or (entry.get('from') or []) is string or (entry.get('from') or []) is mapping -%}
        {%- do cdp.refuse_entry(
            name, 'is ' ~ given ~ '; write a type (' ~ types | join(', ') ~ '), or {type: text, from: [key, '
            ~ 'object.key], merge: latest, ttl_days: 90, pii: none, description: …}'
        ) -%}
    {%- endif -%}
    {%- if not modules.re.match('^[A-Za-z_][A-Za-z0-9_]*$', name) -%}
        {%- do cdp.refuse_entry(
            name, 'is no name of a column: write letters, digits and underscores, and what senders call it under '
            ~ "`from` (shoe_size: {type: number, from: ['shoe size']})"
        ) -%}
    {%- endif -%}
    {%- if name | lower in cdp.fixed_profile_columns() -%}
        {%- do cdp.refuse_entry(
            name, 'is a column of profiles.profiles already: give the trait another name and say `from: [' ~ name ~ ']`'
        ) -%}
    {%- endif -%}
    {%- if name | lower in columns -%}
        {%- do cdp.refuse_entry(
            name, 'is there twice (letter case does not count in a warehouse): give one of them another name'
        ) -%}
    {%- endif -%}
    {%- if entry.get('pii', 'none') not in ['none', 'pii', 'special'] -%}
        {%- do cdp.refuse_entry(name, 'has pii ' ~ entry['pii'] ~ '; write none, pii or special') -%}
    {%- endif -%}
    {%- set merge = entry.get('merge', 'latest') -%}
    {%- if merge not in cdp.merge_rules() -%}
        {%- do cdp.refuse_entry(name, 'has merge ' ~ merge ~ '; write one of ' ~ cdp.merge_rules() | join(', ')) -%}
    {%- elif entry['type'] not in cdp.merge_rules()[merge] -%}
        {%- do cdp.refuse_entry(
            name, 'is of type ' ~ entry['type'] ~ ', which has no ' ~ merge ~ '; that is for '
            ~ cdp.merge_rules()[merge] | join(', ')
        ) -%}
    {%- endif -%}
    {%- set capacity, days = entry.get('capacity'), entry.get('ttl_days') -%}
    {%- if 'capacity' in entry and (merge != 'union' or capacity is boolean or capacity is not integer or capacity < 1) -%}
        {%- do cdp.refuse_entry(
            name, 'has capacity ' ~ capacity ~ '; write a whole number from 1, beside merge: union'
        ) -%}
    {%- endif -%}
    {%- if 'ttl_days' in entry and (days is boolean or days is not integer or days < 1) -%}
        {%- do cdp.refuse_entry(name, 'has ttl_days ' ~ days ~ '; write a whole number of days from 1') -%}
    {%- endif -%}
{%- endmacro %}

{# The names of the traits of which `test` (type, merge, ttl_days …) is one of `values`. #}
{% macro traits_with(key, values) -%}
    {%- set names = [] -%}
    {%- for name, trait in cdp.catalogue_traits().items() if trait[key] in values -%}
        {%- do names.append(name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{# Whether a trait is one of these names. #}
{% macro trait_is_in(trait, names) -%}
    {%- if names -%}{{ trait }} in ({{ cdp.string_literals(names) }}){%- else -%}1 = 0{%- endif -%}
{%- endmacro %}
