-- How much of each rule's limit is used, by whom. A holder is an identifier that links and that
-- nobody holds yet (minus its key), or a profile that this build's messages touch (its founding
-- arrival). One row per (holder, rule).
{{ config(materialized='intermediate') }}
{% set earlier_identifiers = earlier_identity('identifiers') %}
with group_types as (
    select distinct
        handle,
        identifier_type
    from {{ ref('forced') }}
),

forbidden as (
    select
        override_no,
        a_identifier as identifier
    from {{ ref('overrides') }}
    where action = 'forbid'
    union distinct
    select
        override_no,
        b_identifier as identifier
    from {{ ref('overrides') }}
    where action = 'forbid'
),

-- Members of a forced group do not count; their handle does.
fresh as (
    select
        identifiers.stands_at,
        -identifiers.identifier as holder,
        identifiers.identifier,
        identifiers.identifier_type
    from {{ ref('met_identifiers') }} as identifiers
    where
        identifiers.founded_at is null
        and identifiers.identifier in (
            select candidate_links.identifier
            from {{ ref('candidate_links') }} as candidate_links
        )
)

select
    fresh.stands_at,
    fresh.holder,
    fresh.identifier_type as rule,
    cast(1 as {{ dbt.type_bigint() }}) as held,
    cast({{ identifier_limit('fresh.identifier_type') }} as {{ dbt.type_bigint() }}) as allowed
from fresh
left join {{ ref('forced') }} as forced on forced.identifier = fresh.identifier
where fresh.identifier_type is not null and forced.identifier is null
union all
select
    fresh.stands_at,
    fresh.holder,
    group_types.identifier_type as rule,
    1 as held,
    {{ identifier_limit('group_types.identifier_type') }} as allowed
from fresh
inner join group_types on group_types.handle = fresh.identifier
union all
select
    fresh.stands_at,
    fresh.holder,
    'forbid ' || cast(forbidden.override_no as {{ dbt.type_string() }}) as rule,
    1 as held,
    1 as allowed
from fresh
inner join forbidden on forbidden.identifier = fresh.identifier
{% if earlier_identifiers %}
union all
select
    counted.holder as stands_at,
    counted.holder,
    counted.rule,
    count(distinct counted.identifier) as held,
    min(counted.allowed) as allowed
from (
    select
        known.founded_at as holder,
        coalesce(forced.handle, known.identifier) as identifier,
        coalesce(group_types.identifier_type, known.identifier_type) as rule,
        {{ identifier_limit(
            'coalesce(group_types.identifier_type, known.identifier_type)'
        ) }} as allowed
    from {{ earlier_identifiers }} as known
    left join {{ ref('forced') }} as forced on forced.identifier = known.identifier
    left join group_types on group_types.handle = forced.handle
    union all
    select
        known.founded_at as holder,
        known.identifier,
        'forbid ' || cast(forbidden.override_no as {{ dbt.type_string() }}) as rule,
        1 as allowed
    from {{ earlier_identifiers }} as known
    inner join forbidden on forbidden.identifier = known.identifier
) as counted
where
    counted.holder in (
        select candidate_links.stands_at
        from {{ ref('candidate_links') }} as candidate_links
    )
group by counted.holder, counted.rule
{% endif %}
