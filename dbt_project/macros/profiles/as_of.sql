{# People, traits and consents as they were at a moment: relations to select from. #}

{# A moment that a user wrote ('2026-09-01', '2026-09-01 12:30:00', UTC), as SQL. #}
{% macro written_moment(name, moment) -%}
    {%- if moment is not string
        or not modules.re.match('^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?)?$', moment) -%}
        {{ exceptions.raise_compiler_error(
            name ~ ': the time is ' ~ moment ~ "; write a day or a time in UTC, as in '2026-09-01' or '2026-09-01 12:30:00'."
        ) }}
    {%- endif -%}
    {{ cdp.timestamp_literal(moment | replace('T', ' ')) }}
{%- endmacro %}

{# A relation like profiles.traits, as it was at a moment under today's rules and people:
   select * from {{ traits_as_of('2026-09-01') }} as traits. #}
{% macro traits_as_of(moment) -%}
    {%- set at = cdp.written_moment('traits_as_of', moment) -%}
(
    {{ cdp.traits_at(at, until=at) }}
)
{%- endmacro %}

{# A relation like profiles.consents, as it was at a moment under today's people. #}
{% macro consents_as_of(moment) -%}
(
    {{ cdp.stated_consents(until=cdp.written_moment('consents_as_of', moment)) }}
)
{%- endmacro %}

{# A relation like profiles.profiles, as it was at a moment under today's rules and people: who had
   been seen by then, with the traits of the catalogue as columns. #}
{% macro profile_as_of(moment) -%}
    {%- set at = cdp.written_moment('profile_as_of', moment) -%}
(
    select
        seen.profile_id,
        seen.first_seen_at,
        seen.last_seen_at,
        coalesce(known.is_known, false) as is_known
        {{- cdp.trait_columns('known_traits') }}
    from (
        select
            events.profile_id,
            min(events.occurred_at) as first_seen_at,
            max(events.occurred_at) as last_seen_at
        from {{ ref('events') }} as events
        where events.profile_id is not null and events.occurred_at <= {{ at }}
        group by events.profile_id
    ) as seen
    left join (
        select distinct
            identifiers.profile_id,
            true as is_known
        from {{ ref('identifiers') }} as identifiers
        where
            identifiers.identifier_type in ('user_id', 'email', 'phone')
            and identifiers.first_seen_at <= {{ at }}
    ) as known on known.profile_id = seen.profile_id
    left join (
        {{ cdp.traits_in_a_row(cdp.traits_as_of(moment)) }}
    ) as known_traits on known_traits.profile_id = seen.profile_id
)
{%- endmacro %}
