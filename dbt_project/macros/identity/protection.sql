{# Protected sources (vars: sources: protection): their messages found nobody, link nobody and take
   no part in limits. Who is who comes out as if they were not there. A message of an update_only
   source belongs to the person whom it names at its arrival; one of a read_only source to nobody.
   Where no source is protected, the SQL is as if there were no such rule. #}

{# The names of the sources under one protection. #}
{% macro sources_under(protection) -%}
    {%- set names = [] -%}
    {%- for source, rule in cdp.source_rules().items() if rule['protection'] == protection -%}
        {%- do names.append(source) -%}
    {%- endfor -%}
    {{ return(names | sort) }}
{%- endmacro %}

{% macro protected_sources() -%}
    {{ return((cdp.sources_under('read_only') + cdp.sources_under('update_only')) | sort) }}
{%- endmacro %}

{# A condition on the column of sources. #}
{% macro is_under(protection, source) -%}
    {{ source }} in ({{ cdp.string_literals(cdp.sources_under(protection)) }})
{%- endmacro %}

{# The same for any protection. #}
{% macro is_protected(source) -%}
    {{ source }} in ({{ cdp.string_literals(cdp.protected_sources()) }})
{%- endmacro %}

{# What a message is looked up by in set_owners: its set of identifiers, which is all that counts of
   an ordinary message; null under read_only. `messages` names a relation with source, arrival and
   identifiers. Whatever asks whose a message is joins set_owners on this. #}
{% macro owner_key(messages) -%}
    {%- if cdp.protected_sources() -%}
    case
        {% if cdp.sources_under('read_only') -%}
        when {{ cdp.is_under('read_only', messages ~ '.source') }} then null
        {% endif -%}
        {% if cdp.sources_under('update_only') -%}
        when {{ cdp.is_under('update_only', messages ~ '.source') }}
            then {{ cdp.attachment_key(messages ~ '.arrival') }}
        {% endif -%}
        else {{ messages }}.identifiers
    end
    {%- else -%}
    {{ messages }}.identifiers
    {%- endif -%}
{%- endmacro %}

{# The key of one message of an update_only source: two with the same identifiers may be of two
   people, or one of nobody. No set of identifiers is written so. #}
{% macro attachment_key(arrival) -%}
    'update_only ' || cast({{ arrival }} as {{ dbt.type_string() }})
{%- endmacro %}

{# Each identifier of the sets in `sets` (a CTE with identifiers and arrival) that nothing blocks,
   as its type spells it. One row per (set, identifier). #}
{% macro usable_members(sets, keep) -%}
    select
        {{ keep | join(', ') }},
        identifier_type,
        identifier_value,
        {{ cdp.identifier_key('identifier_type', 'identifier_value') }} as identifier,
        min(place) as place
    from (
        select
            {{ keep | join(', ') }},
            place,
            identifier_type,
            {{ cdp.spelled_identifier(
                'identifier_type', 'value_as_given', plain='is_plain',
            ) }} as identifier_value
        from (
            {{ cdp.explode_identifiers(sets, keep) }}
        ) as entries
    ) as spelled
    where
        identifier_value is not null
        and {{ cdp.blocking_rule('identifier_type', 'identifier_value') }} is null
    group by {{ keep | join(', ') }}, identifier_type, identifier_value
{%- endmacro %}

{# The arrivals of messages in `events` whose person may be another one now: of people who were
   absorbed or split, or of nobody. An update_only message may come to another person, or to nobody,
   when operators decide anew, without anybody having split: it is held against set_owners. #}
{% macro arrivals_of_moved_people(events) -%}
    select earlier.arrival
    from {{ events }} as earlier
    left join (
        select distinct from_profile_id
        from {{ ref('merges') }}
    ) as left_behind on left_behind.from_profile_id = earlier.profile_id
    where
        left_behind.from_profile_id is not null
        or {% if cdp.protected_sources() -%}
        (earlier.profile_id is null and not {{ cdp.is_protected('earlier.source') }})
        {%- else -%}
        earlier.profile_id is null
        {%- endif %}
    {%- if cdp.sources_under('update_only') %}
    union all
    select attached.arrival
    from {{ events }} as attached
    inner join {{ ref('set_owners') }} as owners
        on owners.identifiers = {{ cdp.attachment_key('attached.arrival') }}
    where
        {{ cdp.is_under('update_only', 'attached.source') }}
        and coalesce(attached.profile_id, '') <> coalesce(owners.profile_id, '')
    {%- endif %}
{%- endmacro %}
