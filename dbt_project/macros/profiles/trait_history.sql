{# Traits as they were: at a moment, and over time. #}

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

{# Every person's traits as a relation without brackets; `until` (an SQL expression): as they were
   then. #}
{% macro traits_at(moment, until=none) -%}
with writes as (
    select *
    from (
        {{ cdp.personal_writes() }}
    ) as personal_writes
    where
        {{ cdp.still_counts('trait', 'occurred_at', moment) }}
        {%- if until %}
        and occurred_at <= {{ until }}
        {%- endif %}
),

in_force as (
    {{ cdp.writes_in_force('writes', ['profile_id', 'trait']) }}
)

{{ cdp.won_traits('in_force', ['profile_id', 'trait']) }}
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

{# One row per person of a relation like profiles.traits: the catalogue's traits as texts. #}
{% macro traits_in_a_row(traits) -%}
select
    {% for trait in cdp.catalogue_traits() -%}
    max(case when trait = {{ cdp.text_literal(trait) }} then typed_value end) as {{ cdp.column_name(trait) }},
    {% endfor -%}
    profile_id
from {{ traits }} as traits
group by profile_id
{%- endmacro %}

{# Those columns in their types, each with a comma before it. #}
{% macro trait_columns(relation) -%}
    {%- for name, entry in cdp.catalogue_traits().items() -%}
    {%- set column = relation ~ '.' ~ cdp.column_name(name) -%}
    ,
    {{ cdp.trait_column(column, entry['column_type']) }} as {{ cdp.column_name(name) }}
    {%- endfor -%}
{%- endmacro %}

{# What each trait was after each moment at which it may have changed, as a relation without brackets:
   profile_id, trait, value (null: none), source, message_id, changed_at. `writes` is the name of a CTE of
   personal_writes. #}
{% macro trait_states(writes) -%}
{%- set asked_anew = [] -%}
{%- for name, trait in cdp.catalogue_traits().items() if trait['merge'] != 'latest' or trait['ttl_days'] -%}
    {%- do asked_anew.append(name) -%}
{%- endfor -%}
{{ cdp.latest_states(writes, asked_anew) }}
{%- if asked_anew %}
union all
{{ cdp.states_asked_anew(writes, asked_anew) }}
{%- endif %}
{%- endmacro %}

{# Where the latest wins and nothing expires: each write changes the trait, unless a stronger tier
   wrote before it. #}
{% macro latest_states(writes, without) -%}
{%- set given -%}
(
    select *
    from {{ writes }}
    where not ({{ cdp.trait_is_in('trait', without) }})
)
{%- endset -%}
{%- if cdp.tiers_are_declared() -%}
select
    profile_id,
    trait,
    value,
    source,
    message_id,
    occurred_at as changed_at,
    arrival
from (
    select
        *,
        min(case when {{ cdp.is_of_owner() }} then tier end) over (
            partition by profile_id, trait order by occurred_at, arrival
            rows between unbounded preceding and current row
        ) as best_tier
    from (
        {{ cdp.tiered_writes(given ~ ' as given_writes', ['profile_id', 'trait']) }}
    ) as tiered_writes
) as allowed_writes
where tier = best_tier and {{ cdp.is_of_owner() }}
{%- else -%}
select
    profile_id,
    trait,
    value,
    source,
    message_id,
    occurred_at as changed_at,
    arrival
from {{ given }} as given_writes
{%- endif -%}
{%- endmacro %}

{# Every other rule is asked again at each moment at which something was said or expired. #}
{% macro states_asked_anew(writes, traits) -%}
{%- set keys = ['profile_id', 'trait', 'changed_at'] -%}
select
    profile_id,
    trait,
    value,
    source,
    message_id,
    changed_at,
    arrival
from (
    with said as (
        select *
        from {{ writes }}
        where {{ cdp.trait_is_in('trait', traits) }}
    ),

    moments as (
        select
            profile_id,
            trait,
            occurred_at as changed_at
        from said
        {%- for name, trait in cdp.catalogue_traits().items() if trait['ttl_days'] %}
        union all
        select
            profile_id,
            trait,
            {{ cdp.plus('occurred_at', days=trait['ttl_days']) }} as changed_at
        from said
        where
            trait = {{ cdp.text_literal(name) }}
            and {{ cdp.plus('occurred_at', days=trait['ttl_days']) }} <= {{ cdp.as_of() }}
        {%- endfor %}
    ),

    -- A write may be a day ahead of the clock; what expires goes by the clock.
    changes as (
        select distinct
            profile_id,
            trait,
            changed_at,
            case when changed_at > {{ cdp.as_of() }} then {{ cdp.as_of() }} else changed_at end as asked_at
        from moments
    ),

    known_then as (
        select
            changes.changed_at,
            said.*
        from changes
        inner join said
            on
                said.profile_id = changes.profile_id
                and said.trait = changes.trait
                and said.occurred_at <= changes.changed_at
        where {{ cdp.still_counts('said.trait', 'said.occurred_at', 'changes.asked_at') }}
    ),

    in_force_then as (
        {{ cdp.writes_in_force('known_then', keys) }}
    ),

    won as (
        {{ cdp.won_traits('in_force_then', keys) }}
    )

    select
        changes.profile_id,
        changes.trait,
        won.value,
        won.source,
        won.message_id,
        changes.changed_at,
        cast(0 as {{ dbt.type_bigint() }}) as arrival
    from changes
    left join won
        on
            won.profile_id = changes.profile_id
            and won.trait = changes.trait
            and won.changed_at = changes.changed_at
) as asked_anew
{%- endmacro %}
