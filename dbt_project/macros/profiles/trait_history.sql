{# Traits at a moment, as columns, and over time. #}

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
