{# Conditions on one column, as a person says them: condition('people.country', 'equals', 'IT'). A
   condition is true or false, never null, so that and, or and not mean what they say. Texts are
   compared without regard to letter case. What is missing meets no condition, except one that says
   "not" (not_equals, not_contains, not_in, not_includes, not_within_last), unless
   missing_matches_negative=false. What the operators mean, one by one: docs/audiences.md. #}

{# `column` is an SQL expression, whose last word names a trait or a property of the catalogue;
   else give the `type`, one of property_types(). A `type` other than the catalogue's reads a text
   as that. `path` leads into a map: 'address.city'. #}
{% macro condition(
    column, operator, value=none, type=none, case_sensitive=false, missing_matches_negative=true,
    path=none
) -%}
    {{ cdp.typed_condition(
        'condition on ' ~ column, column, cdp.type_of(column), operator, value, type,
        case_sensitive, missing_matches_negative, path
    ) }}
{%- endmacro %}

{# condition(), by the type that the column is `declared` to have (none: it is not known). `field`
   is for messages. #}
{% macro typed_condition(
    field, column, declared, operator, value=none, type=none, case_sensitive=false,
    missing_matches_negative=true, path=none
) -%}
    {%- set field = field ~ (' at ' ~ path if path else '') -%}
    {%- set known = path is none and declared or none -%}
    {%- set type = type or known or (cdp.type_of_value(operator, value) if path else none) -%}
    {%- set types = cdp.kinds_of_types() | join(', ') -%}
    {%- if not type -%}
        {{ cdp.refuse_condition(
            field, 'its type is not known: declare it in vars: catalogue: properties (or traits) '
            ~ 'of dbt_project.yml, or give the type (' ~ types ~ ')'
        ) }}
    {%- elif type not in cdp.kinds_of_types() -%}
        {{ cdp.refuse_condition(field, "'" ~ type ~ "' is no type: write one of " ~ types) }}
    {%- endif -%}
    {%- set kind = cdp.kinds_of_types()[type] -%}
    {%- set operator = cdp.known_operator(field, type, kind, operator) -%}
    {%- set given = cdp.json_text(column, path.split('.')) if path else column -%}
    {%- set is_text = path or cdp.kinds_of_types().get(known, kind) == 'text' -%}
    {%- set reads = is_text and kind in ('number', 'time', 'boolean') -%}
    {%- set read = cdp.text_as(given, kind) if reads else given -%}
    {%- if operator == 'exists' -%}
        {{ read }} is not null
    {%- elif operator == 'not_exists' -%}
        {{ read }} is null
    {%- elif read == column -%}
        {{ cdp.judged_condition(
            field, column, kind, operator, value, case_sensitive, missing_matches_negative
        ) }}
    {%- else -%}
        {%- set judged = cdp.judged_condition(
            field, 'said_value', kind, operator, value, case_sensitive, missing_matches_negative
        ) | trim -%}
        {%- set asks = operator.replace('not_', '') in (
            'within_last', 'within_next', 'before_last', 'after_next', 'anniversary'
        ) -%}
        {{ (cdp.let_and_ask if asks else cdp.let)('said_value', read, judged) }}
    {%- endif -%}
{%- endmacro %}

{# The condition on a column that is of the kind. #}
{% macro judged_condition(
    field, column, kind, operator, value, case_sensitive, missing_matches_negative
) -%}
    {%- set negative = operator.startswith('not_') -%}
    {%- set positive = operator[4:] if negative else operator -%}
    {%- if kind == 'text' -%}
        {%- set holds = cdp.text_condition(field, column, positive, value, case_sensitive) -%}
    {%- elif kind == 'number' -%}
        {%- set holds = cdp.number_condition(field, column, positive, value) -%}
    {%- elif kind == 'time' -%}
        {%- set holds = cdp.time_condition(field, column, positive, value) -%}
    {%- elif kind == 'boolean' -%}
        {%- set holds = cdp.boolean_condition(field, column, positive, value) -%}
    {%- else -%}
        {%- set holds = cdp.list_condition(field, column, positive, value, case_sensitive) -%}
    {%- endif -%}
    {#- Not coalesce(): behind it no engine sees a bound that lets it skip rows. -#}
    {%- if operator == 'is_empty' or (negative and missing_matches_negative) -%}
        ({{ column }} is null or {{ 'not ' if negative }}({{ holds | trim }}))
    {%- else -%}
        ({{ column }} is not null and {{ 'not ' if negative }}({{ holds | trim }}))
    {%- endif -%}
{%- endmacro %}

{# All of several conditions on the columns of profiles.events: [('total', '>', 100),
   ('destination', 'in', ['Rome', 'Bari']), ('address.city', 'equals', 'Rome'), ('note', 'equals',
   'ABBA', {'case_sensitive': true})]. A dot leads into a map; in braces are further arguments of
   condition(). #}
{% macro conditions(where, relation_alias='events') -%}
    {%- if where is string or where is mapping or where is not sequence -%}
        {{ cdp.refuse_condition(
            'where', "is " ~ where ~ "; write a list of conditions: [('total', '>', 100)]"
        ) }}
    {%- endif -%}
    {%- set parts = [] -%}
    {%- for given in where or [] -%}
        {%- if given is string or given is mapping or given is not sequence
            or given | length not in (2, 3, 4)
            or (given | length == 4 and given[3] is not mapping) -%}
            {{ cdp.refuse_condition(
                'where', 'one condition is ' ~ given
                ~ "; write (property, operator, value), like ('total', '>', 100)"
            ) }}
        {%- endif -%}
        {%- set field, name = 'where: ' ~ given[0], given[0].split('.')[0] -%}
        {%- set type = cdp.property_type(field, name) -%}
        {%- set more = dict(given[3] if given | length == 4 else {}) -%}
        {%- if '.' in given[0] -%}
            {%- do more.update({'path': given[0][name | length + 1:]}) -%}
        {%- endif -%}
        {%- if 'path' in more and type != 'map' -%}
            {{ cdp.refuse_condition(
                field, name ~ ' is a ' ~ type ~ ', and a path leads into a map only'
            ) }}
        {%- endif -%}
        {%- do parts.append(cdp.typed_condition(
            field,
            (relation_alias ~ '.' if relation_alias else '') ~ cdp.column_name(name),
            type,
            given[1],
            given[2] if given | length > 2 else none,
            **more
        ) | trim) -%}
    {%- endfor -%}
    {%- if parts | length > 1 -%}
        ({{ parts | join('\n    and ') }})
    {%- else -%}
        {{ parts[0] if parts else '1 = 1' }}
    {%- endif -%}
{%- endmacro %}

{# The type of a trait, a property or a fixed column by the last word of an expression; none where
   there is no such one, or where a trait and a property of one name differ. #}
{% macro type_of(column) -%}
    {%- set name = modules.re.sub('^.*[.]|["`]', '', column | trim) -%}
    {%- set types = [] -%}
    {%- for known in (cdp.profile_column_types(), cdp.event_column_types()) if name in known -%}
        {%- do types.append(known[name]) -%}
    {%- endfor -%}
    {%- set kinds = [] -%}
    {%- for type in types -%}{%- do kinds.append(cdp.kinds_of_types()[type]) -%}{%- endfor -%}
    {{ return(types[0] if kinds | unique | list | length == 1 else none) }}
{%- endmacro %}

{# {column: type} of profiles.profiles. #}
{% macro profile_column_types() -%}
    {%- set types = {
        'profile_id': 'text', 'first_seen_at': 'timestamp', 'last_seen_at': 'timestamp',
        'is_known': 'boolean',
    } -%}
    {%- for name, trait in cdp.catalogue_traits().items() -%}
        {%- do types.update({name: trait['column_type']}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{# {column: type} of profiles.events. #}
{% macro event_column_types() -%}
    {%- set types = {
        'message_id': 'text', 'profile_id': 'text', 'type': 'text', 'event_name': 'text',
        'occurred_at': 'timestamp', 'received_at': 'timestamp', 'source': 'text',
        'properties': 'map', 'arrival': 'integer',
    } -%}
    {%- for name, property in cdp.catalogue_properties().items() -%}
        {%- do types.update({name: property['type']}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{% macro property_type(field, property) -%}
    {%- set known = cdp.event_column_types() -%}
    {{ return(cdp.known_column_type(field, property, known, 'profiles.events', 'properties')) }}
{%- endmacro %}

{# The type of a column that must be there; `section`: where in vars: catalogue it would be. #}
{% macro known_column_type(field, name, known, relation, section) -%}
    {%- if name not in known -%}
        {{ cdp.refuse_condition(
            field, relation ~ ' has no such column: declare it in vars: catalogue: ' ~ section
            ~ ' of dbt_project.yml (' ~ name ~ ': text), or write one of '
            ~ known.keys() | sort | join(', ')
        ) }}
    {%- endif -%}
    {{ return(known[name]) }}
{%- endmacro %}

{# {type: what its operators are those of}. #}
{% macro kinds_of_types() -%}
    {{ return({
        'text': 'text', 'email': 'text', 'phone': 'text', 'number': 'number', 'money': 'number', 'integer': 'number',
        'bigint': 'number', 'double': 'number', 'boolean': 'boolean', 'tag': 'boolean',
        'date': 'time', 'timestamp': 'time', 'list': 'list', 'map': 'map',
    }) }}
{%- endmacro %}

{% macro operators_of_kinds() -%}
    {{ return({
        'text': ['equals', 'not_equals', 'in', 'not_in', 'contains', 'not_contains', 'starts_with',
            'not_starts_with', 'ends_with', 'not_ends_with', 'pattern', 'not_pattern', 'regex',
            'not_regex', 'exists', 'not_exists', 'is_empty'],
        'number': ['equals', 'not_equals', '<', '<=', '>', '>=', 'between', 'not_between', 'in',
            'not_in', 'exists', 'not_exists'],
        'time': ['before', 'on_or_before', 'after', 'on_or_after', 'on', 'not_on', 'between',
            'not_between', 'within_last', 'not_within_last', 'within_next', 'not_within_next',
            'before_last', 'after_next', 'anniversary', 'exists', 'not_exists'],
        'boolean': ['is_true', 'is_false', 'equals', 'not_equals', 'exists', 'not_exists'],
        'list': ['includes', 'not_includes', 'partial_match', 'not_partial_match', 'intersects',
            'not_intersects', 'contains_all', 'size', 'exists', 'not_exists', 'is_empty'],
        'map': ['exists', 'not_exists'],
    }) }}
{%- endmacro %}

{# Other words for operators; blanks in them may be underscores. #}
{% macro operator_aliases() -%}
    {{ return({
        '=': 'equals', '==': 'equals', 'eq': 'equals', 'is': 'equals', 'exact_match': 'equals',
        '!=': 'not_equals', '<>': 'not_equals', 'neq': 'not_equals', 'is_not': 'not_equals',
        'does_not_equal': 'not_equals', 'does_not_match': 'not_equals',
        'lt': '<', 'less_than': '<', 'lte': '<=', 'at_most': '<=',
        'gt': '>', 'greater_than': '>', 'more_than': '>', 'gte': '>=', 'at_least': '>=',
        'one_of': 'in', 'any_of': 'in', 'equals_any_of': 'in',
        'none_of': 'not_in', 'not_one_of': 'not_in',
        'contains_any_of': 'contains', 'does_not_contain': 'not_contains',
        'begins_with': 'starts_with', 'matches': 'regex', 'does_not_include': 'not_includes',
        'present': 'exists', 'is_not_null': 'exists',
        'does_not_exist': 'not_exists', 'missing': 'not_exists', 'is_null': 'not_exists',
    }) }}
{%- endmacro %}

{% macro known_operator(field, type, kind, operator) -%}
    {%- set given = operator | lower | trim | replace(' ', '_') -%}
    {%- set name = cdp.operator_aliases().get(given, given) -%}
    {%- if name not in cdp.operators_of_kinds()[kind] -%}
        {%- set kinds = [] -%}
        {%- for other, names in cdp.operators_of_kinds().items() if name in names -%}
            {%- do kinds.append(other) -%}
        {%- endfor -%}
        {%- set problem = "the operator '" ~ operator ~ "' is for a " ~ kinds | join(' or a ')
            ~ ', and this is a ' ~ type if kinds else "there is no operator '" ~ operator ~ "'" -%}
        {{ cdp.refuse_condition(
            field, problem ~ '; write one of ' ~ cdp.operators_of_kinds()[kind] | join(', ')
            ~ (', or say where in the map to look: name.key' if kind == 'map' else '')
        ) }}
    {%- endif -%}
    {{ return(name) }}
{%- endmacro %}

{# What a value in a map is taken for: as what it is compared with. #}
{% macro type_of_value(operator, value) -%}
    {%- set many = value is sequence and value is not string and value is not mapping -%}
    {%- set first = value[0] if many and value else value -%}
    {%- set given = operator | lower | trim | replace(' ', '_') -%}
    {%- set name = cdp.operator_aliases().get(given, given) -%}
    {%- set operators = cdp.operators_of_kinds() -%}
    {%- if first is boolean or name in ('is_true', 'is_false') -%}{{ return('boolean') }}
    {%- elif name in operators['text'] and first is not number -%}{{ return('text') }}
    {%- elif name in operators['number'] and first is not string -%}{{ return('number') }}
    {%- elif name in operators['time'] -%}{{ return('timestamp') }}
    {%- else -%}{{ return('list' if name in operators['list'] else 'text') }}
    {%- endif -%}
{%- endmacro %}

{# A text as a number, a time or a boolean; null where it is none. #}
{% macro text_as(text, kind) -%}
    {%- if kind == 'number' -%}
        case when {{ cdp.is_plain_number(text) }} then {{ cdp.to_type(text, 'double') }} end
    {%- elif kind == 'time' -%}
        {{ cdp.to_utc(text) }}
    {%- else -%}
        {{ cdp.boolean_from_text(text) }}
    {%- endif -%}
{%- endmacro %}

{# Stops with the model's file, the field and the remedy. #}
{% macro refuse_condition(field, problem) -%}
    {%- set file = model.original_file_path ~ ': ' if model else '' -%}
    {{ exceptions.raise_compiler_error(file ~ field ~ ': ' ~ problem ~ '.') }}
{%- endmacro %}

{# The values of an operator that takes several, or one. #}
{% macro values_of(field, operator, value) -%}
    {%- set values = [value] if value is string or value is number else value -%}
    {%- if value is none or value is boolean or values is mapping or values is not sequence
        or not values -%}
        {{ cdp.refuse_condition(
            field, operator ~ ' needs a value' ~ (', not ' ~ value if value is not none else '')
        ) }}
    {%- endif -%}
    {%- for each in values
        if each is boolean or (each is not string and each is not number) or each == '' -%}
        {{ cdp.refuse_condition(
            field, operator ~ ' needs texts or numbers with something in them, not '
            ~ ('an empty text' if each == '' else each)
        ) }}
    {%- endfor -%}
    {{ return(values | list) }}
{%- endmacro %}

{% macro one_value(field, operator, value) -%}
    {%- set values = cdp.values_of(field, operator, value) -%}
    {%- if values | length > 1 -%}
        {{ cdp.refuse_condition(
            field, operator ~ ' takes one value, not ' ~ value
            ~ (': write in' if operator == 'equals' else '')
        ) }}
    {%- endif -%}
    {{ return(values[0]) }}
{%- endmacro %}
