-- The identifiers in the messages of this build, with the rule that blocks each if one does, and
-- the profile that holds it already. An identifier stands at its first arrival until a profile
-- holds it, and at the profile's founding arrival from then on. One row per identifier; a forced
-- group's handle is one, too.
{{ config(materialized='intermediate') }}
{% set earlier_identifiers = earlier_identity('identifiers') %}
with grouped as (
    select
        identifier,
        identifier_type,
        identifier_value,
        min(arrival) as first_arrival,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ ref('set_members') }}
    group by identifier, identifier_type, identifier_value
),

judged as (
    select
        *,
        {{ blocking_rule('identifier_type', 'identifier_value') }} as blocking_rule
    from grouped
),

handles as (
    select
        forced.handle as identifier,
        min(judged.first_arrival) as first_arrival
    from judged
    inner join {{ ref('forced') }} as forced on forced.identifier = judged.identifier
    where judged.blocking_rule is null
    group by forced.handle
),

named as (
    select
        identifier,
        identifier_type,
        identifier_value,
        first_arrival,
        first_seen_at,
        last_seen_at,
        blocking_rule,
        false as is_handle
    from judged
    union all
    select
        identifier,
        cast(null as {{ dbt.type_string() }}) as identifier_type,
        cast(null as {{ dbt.type_string() }}) as identifier_value,
        first_arrival,
        cast(null as {{ dbt.type_timestamp() }}) as first_seen_at,
        cast(null as {{ dbt.type_timestamp() }}) as last_seen_at,
        cast(null as {{ dbt.type_string() }}) as blocking_rule,
        true as is_handle
    from handles
)
{% if earlier_identifiers %},

held as (
    select
        identifier,
        founded_at,
        profile_id,
        first_seen_at,
        last_seen_at
    from {{ earlier_identifiers }}
    union all
    -- The oldest profile that holds a member: decisions that contradict each other can keep members
    -- apart.
    select
        oldest.handle as identifier,
        oldest.founded_at,
        min(known.profile_id) as profile_id,
        cast(null as {{ dbt.type_timestamp() }}) as first_seen_at,
        cast(null as {{ dbt.type_timestamp() }}) as last_seen_at
    from (
        select
            forced.handle,
            min(known.founded_at) as founded_at
        from {{ ref('forced') }} as forced
        inner join {{ earlier_identifiers }} as known on known.identifier = forced.identifier
        group by forced.handle
    ) as oldest
    inner join {{ ref('forced') }} as forced on forced.handle = oldest.handle
    inner join {{ earlier_identifiers }} as known
        on known.identifier = forced.identifier and known.founded_at = oldest.founded_at
    group by oldest.handle, oldest.founded_at
)
{% endif %}

select
    named.*,
    {% if earlier_identifiers %}
    held.founded_at,
    held.profile_id,
    held.first_seen_at as known_first_seen_at,
    held.last_seen_at as known_last_seen_at,
    coalesce(held.founded_at, named.first_arrival) as stands_at
    {% else %}
    cast(null as {{ dbt.type_bigint() }}) as founded_at,
    cast(null as {{ dbt.type_string() }}) as profile_id,
    cast(null as {{ dbt.type_timestamp() }}) as known_first_seen_at,
    cast(null as {{ dbt.type_timestamp() }}) as known_last_seen_at,
    named.first_arrival as stands_at
    {% endif %}
from named
{% if earlier_identifiers %}
left join held on held.identifier = named.identifier
{% endif %}
