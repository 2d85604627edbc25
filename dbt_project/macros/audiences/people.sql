{# What an audience says of a person: each helper is a condition on the row `people` of
   profiles.profiles, true or false and never null. docs/audiences.md has examples of them. #}

{# A trait of the catalogue, or another column of profiles.profiles: trait('country', 'equals',
   'IT'). Further arguments are those of condition(). #}
{% macro trait(name, operator, value=none, people='people') -%}
    {%- set known = cdp.profile_column_types() -%}
    {%- set type = cdp.known_column_type(
        'trait ' ~ name, name, known, 'profiles.profiles', 'traits'
    ) -%}
    {{ cdp.typed_condition(
        'trait ' ~ name, people ~ '.' ~ cdp.column_name(name), type, operator, value, **kwargs
    ) }}
{%- endmacro %}

{# A column of a model of 4_attributes: attribute('lifetime_value', 'lifetime_value_usd', '>=',
   500). Who has no row has no value, or `missing`: 0 for what is counted. The type is what the
   value is compared as; further arguments are those of condition(). #}
{% macro attribute(
    model_name, column, operator, value=none, missing=none, type=none, people='people'
) -%}
    {%- set field = 'attribute ' ~ model_name ~ '.' ~ column -%}
    {%- do cdp.refuse_unknown_column(field, model_name, column) -%}
    {%- set type = type or cdp.type_of_value(operator, value) -%}
    {%- set given = 'of_person.' ~ cdp.column_name(column) -%}
    {%- set more = dict(kwargs) -%}
    {%- if missing is not none -%}
        {%- do more.update({'missing_matches_negative': false}) -%}
    {%- endif -%}
    {%- set holds = cdp.typed_condition(field, given, type, operator, value, **more) | trim -%}
    {%- set kind = cdp.kinds_of_types()[type] -%}
    {%- set name = cdp.known_operator(field, type, kind, operator) -%}
    {%- if missing is none -%}
        {%- set without = name in ('is_empty', 'not_exists')
            or (name.startswith('not_') and kwargs.get('missing_matches_negative', true)) -%}
    {%- elif missing is number and kind == 'number' and name not in ('exists', 'not_exists') -%}
        {%- set without = cdp.number_holds(missing, name, value) -%}
    {%- else -%}
        {{ cdp.refuse_condition(
            field, 'missing is ' ~ missing ~ '; write a number, and compare with numbers'
        ) }}
    {%- endif -%}
    {{ people }}.profile_id {{ 'not in' if without else 'in' }} (
        select of_person.profile_id
        from {{ ref(model_name) }} as of_person
        where
            of_person.profile_id is not null
            and {{ 'not ' if without }}{{ holds }}
            {%- if without and missing is not none %}
            and {{ given }} is not null
            {%- endif %}
    )
{%- endmacro %}

{# Stops where a model whose contract says all of its columns has no such one. #}
{% macro refuse_unknown_column(field, model_name, column) -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}{{ return(none) }}{%- endif -%}
    {%- set read = graph.nodes.get('model.cdp.' ~ model_name) -%}
    {%- if not read or not read.config.contract.enforced -%}{{ return(none) }}{%- endif -%}
    {%- set columns = read.columns.values() | map(attribute='name') | list -%}
    {%- if column | lower not in columns | map('lower') | list -%}
        {{ cdp.refuse_condition(field, 'there is no such column: write one of ' ~ columns | sort | join(', ')) }}
    {%- endif -%}
{%- endmacro %}

{# Where a person stands among all who have a value: the share of the others who have less, from 0
   to 1. percentile_of('lifetime_value', 'lifetime_value_usd', '>=', 0.9) are the best tenth. #}
{% macro percentile_of(model_name, column, operator, value, people='people') -%}
    {%- do cdp.refuse_unknown_column('percentile_of ' ~ model_name ~ '.' ~ column, model_name, column) -%}
    {{ people }}.profile_id in (
        select ranked.profile_id
        from (
            select
                of_person.profile_id,
                percent_rank() over (order by of_person.{{ cdp.column_name(column) }}) as standing
            from {{ ref(model_name) }} as of_person
            where of_person.{{ cdp.column_name(column) }} is not null
        ) as ranked
        where {{ cdp.typed_condition(
            'percentile_of ' ~ model_name ~ '.' ~ column, 'ranked.standing', 'number', operator,
            value
        ) }}
    )
{%- endmacro %}

{# What a person said last about a purpose: granted or denied; missing, where nothing was said. #}
{% macro has_consent(regulation, purpose, state='granted', people='people') -%}
    {%- if state not in ('granted', 'denied', 'missing') -%}
        {{ cdp.refuse_condition(
            'has_consent', 'state is ' ~ state ~ '; write granted, denied or missing'
        ) }}
    {%- endif -%}
    {%- set states = ['granted', 'denied'] if state == 'missing' else [state] -%}
    {{ people }}.profile_id {{ 'not in' if state == 'missing' else 'in' }} (
        select consents.profile_id
        from {{ ref('consents') }} as consents
        where
            consents.regulation = {{ cdp.text_literal(regulation) }}
            and consents.purpose = {{ cdp.text_literal(purpose) }}
            and consents.state in ({{ cdp.string_literals(states) }})
    )
{%- endmacro %}

{# Whether a person has an identifier of a type of vars: identity, and one that meets a condition:
   has_identifier('email', 'ends_with', '@example.com'). #}
{% macro has_identifier(type, operator='exists', value=none, people='people') -%}
    {%- set known = var('identity')['identifiers'] -%}
    {%- if type not in known -%}
        {{ cdp.refuse_condition(
            'has_identifier ' ~ type, 'no such type is declared in vars: identity: identifiers of '
            ~ 'dbt_project.yml; write one of ' ~ known.keys() | join(', ')
        ) }}
    {%- endif -%}
    {{ people }}.profile_id in (
        select identifiers.profile_id
        from {{ ref('identifiers') }} as identifiers
        where
            identifiers.profile_id is not null
            and identifiers.identifier_type = {{ cdp.text_literal(type) }}
            and {{ cdp.typed_condition(
                'has_identifier ' ~ type, 'identifiers.identifier_value', 'text', operator, value,
                **kwargs
            ) }}
    )
{%- endmacro %}

{# Whether a person has a device that told its id: has_device('ios'), or of any platform. #}
{% macro has_device(platform=none, people='people') -%}
    {%- set types = {
        'android': ['android_id', 'android_idfa'], 'ios': ['ios_id', 'ios_idfa'],
    } -%}
    {%- if platform is not none and platform not in types -%}
        {{ cdp.refuse_condition(
            'has_device ' ~ platform, 'no such platform is known; write one of '
            ~ types.keys() | join(', ') ~ ', or nothing for any'
        ) }}
    {%- endif -%}
    {%- set asked = types[platform] if platform else types['android'] + types['ios'] -%}
    {{ people }}.profile_id in (
        select identifiers.profile_id
        from {{ ref('identifiers') }} as identifiers
        where
            identifiers.profile_id is not null
            and identifiers.identifier_type in ({{ cdp.string_literals(asked) }})
    )
{%- endmacro %}

{# Whether a number, which is known when the statement is written, meets a condition that was found
   good. #}
{% macro number_holds(number, operator, value) -%}
    {%- set positive = operator[4:] if operator.startswith('not_') else operator -%}
    {%- set values = [value] if value is number else value -%}
    {%- set holds = {
        'equals': number == values[0], 'in': number in values, '<': number < values[0],
        '<=': number <= values[0], '>': number > values[0], '>=': number >= values[0],
        'between': values[0] <= number and number <= values[-1],
    }[positive] -%}
    {{ return(not holds if operator.startswith('not_') else holds) }}
{%- endmacro %}
