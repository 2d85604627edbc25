{# What an audience writes down once it is built: who entered and left, who is in now, how large it is, and whose variant a
   merge changed. It all happens in the transaction that built it, and running it again adds nothing. #}

{# The hook of the folder. The statements go as one, where the engine takes several at once. #}
{% macro record_audience() -%}
{%- if cdp.is_audience(model) -%}
{%- do [ref('current_build'), ref('changes'), ref('current_members'), ref('sizes'), ref('variant_collisions')] -%}
{%- if cdp.members_are_kept() -%}
    {%- set moved = adapter.quote('cdp_moved_' ~ model.name) -%}
    {%- set statements = [
        'create temporary table ' ~ moved ~ ' as\n' ~ cdp.moved_people(),
        cdp.record_changes(moved),
        cdp.let_members_go(moved),
        cdp.take_members_in(moved),
        cdp.record_size(moved),
        cdp.record_collisions(moved) if cdp.is_split(model) else '',
        'drop table ' ~ moved,
    ] -%}
{{ statements | map('trim') | select | join(';\n') }}
{%- elif execute -%}
    {%- call statement('changes', auto_begin=true) -%}{{ cdp.record_changes('(' ~ cdp.moved_people() ~ ')') }}{%- endcall -%}
    {%- if cdp.is_split(model) -%}
        {%- call statement('collisions', auto_begin=true) -%}{{ cdp.record_collisions(cdp.moved_by_the_log()) }}{%- endcall -%}
    {%- endif -%}
{{ cdp.record_size(cdp.moved_by_the_log()) }}
{%- endif -%}
{%- endif -%}
{%- endmacro %}

{# Whether an audience has variants: its twin declares the column. #}
{% macro is_split(node) -%}
    {{ return('variant' in node.columns) }}
{%- endmacro %}

{# Who is in now and was not, who was and is not, and who is in another variant. A row a person, also where the model has two:
   one variant of theirs, or, as that is cheaper, the one of those who moved. #}
{% macro moved_people() -%}
{%- set split = cdp.is_split(model) -%}
select {{ '' if split else 'distinct' }}
    coalesce(members.profile_id, known.profile_id) as profile_id,
    known.profile_id is not null as was_member,
    members.profile_id is not null as is_member,
    known.variant as left_variant,
    members.variant as entered_variant
from (
    select
        profile_id,
        {{ 'max(variant)' if split else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as variant
    from {{ this }}
    where profile_id is not null
    {{ 'group by profile_id' if split }}
) as members
full outer join (
    select profile_id, variant
    from {{ ref('current_members') }}
    where audience = '{{ model.name }}'
) as known
    on known.profile_id = members.profile_id
where
    members.profile_id is null
    or known.profile_id is null
    or not {{ cdp.same_variant('known', 'members') }}
{%- endmacro %}

{# The same, of what this build has written into the log. #}
{% macro moved_by_the_log() -%}
(
    select
        profile_id,
        max(case when change = 'exited' then 1 else 0 end) = 1 as was_member,
        max(case when change = 'entered' then 1 else 0 end) = 1 as is_member,
        max(case when change = 'exited' then variant end) as left_variant,
        max(case when change = 'entered' then variant end) as entered_variant
    from {{ ref('changes') }}
    where audience = '{{ model.name }}' and build_id = {{ cdp.current_build_id() }}
    group by profile_id
)
{%- endmacro %}

{% macro current_build_id() -%}
    (select current_build.build_id from {{ ref('current_build') }} as current_build)
{%- endmacro %}

{# A stay is in one variant: who changes it leaves with the old one and enters with the new one, at the same moment. #}
{% macro record_changes(moved) -%}
{%- set at = cdp.column_name('at') -%}
insert into {{ ref('changes') }} (audience, profile_id, change, variant, {{ at }}, build_id)
select
    '{{ model.name }}' as audience,
    moved.profile_id,
    told.change,
    case when told.change = 'exited' then moved.left_variant else moved.entered_variant end as variant,
    {{ cdp.as_of() }} as {{ at }},
    {{ cdp.current_build_id() }} as build_id
from {{ moved }} as moved
cross join (select 'exited' as change union all select 'entered' as change) as told
where (told.change = 'exited' and moved.was_member) or (told.change = 'entered' and moved.is_member)
{%- endmacro %}

{% macro let_members_go(moved) -%}
delete from {{ ref('current_members') }}
where
    audience = '{{ model.name }}'
    and profile_id in (select moved.profile_id from {{ moved }} as moved where moved.was_member)
{%- endmacro %}

{% macro take_members_in(moved) -%}
insert into {{ ref('current_members') }} (audience, profile_id, variant, entered_at, build_id)
select
    '{{ model.name }}' as audience,
    moved.profile_id,
    moved.entered_variant as variant,
    {{ cdp.as_of() }} as entered_at,
    {{ cdp.current_build_id() }} as build_id
from {{ moved }} as moved
where moved.is_member
{%- endmacro %}

{# Who only changed the variant neither entered nor left. #}
{% macro record_size(moved) -%}
{%- set at = cdp.column_name('at') -%}
insert into {{ ref('sizes') }} (audience, members, entered, exited, volatility, {{ at }}, build_id)
select
    '{{ model.name }}' as audience,
    held.members,
    counted.entered,
    counted.exited,
    case
        when held.members > 0 then cast(counted.entered + counted.exited as {{ cdp.type_double() }}) / held.members
    end as volatility,
    {{ cdp.as_of() }} as {{ at }},
    {{ cdp.current_build_id() }} as build_id
from (
    select
        coalesce(sum(case when moved.is_member and not moved.was_member then 1 else 0 end), 0) as entered,
        coalesce(sum(case when moved.was_member and not moved.is_member then 1 else 0 end), 0) as exited
    from {{ moved }} as moved
) as counted
cross join (
    select count(*) as members
    from {{ ref('current_members') }}
    where audience = '{{ model.name }}'
) as held
where not exists (
    select 1
    from {{ ref('sizes') }} as told
    where told.audience = '{{ model.name }}' and told.build_id = {{ cdp.current_build_id() }}
)
{%- endmacro %}

{# Who left because another profile absorbed them, and was in another variant than that one is, or was until now. The identifier
   that merged them is the survivor's now, however many merges followed. #}
{% macro record_collisions(moved) -%}
{%- set at = cdp.column_name('at') -%}
insert into {{ ref('variant_collisions') }} (audience, profile_id, kept, dropped, {{ at }}, build_id)
select distinct
    '{{ model.name }}' as audience,
    survivors.profile_id,
    coalesce(members.variant, also_left.left_variant) as kept,
    absorbed.left_variant as dropped,
    {{ cdp.as_of() }} as {{ at }},
    {{ cdp.current_build_id() }} as build_id
from {{ moved }} as absorbed
inner join {{ cdp.as_built('merges') }} as merges
    on merges.from_profile_id = absorbed.profile_id and merges.kind = 'merge'
inner join {{ cdp.as_built('identifiers') }} as survivors
    on
        survivors.identifier_type = merges.identifier_type
        and survivors.identifier_value = merges.identifier_value
        and survivors.profile_id <> absorbed.profile_id
left join {{ this }} as members on members.profile_id = survivors.profile_id
left join {{ moved }} as also_left on also_left.profile_id = survivors.profile_id and also_left.was_member
where
    absorbed.was_member
    and not absorbed.is_member
    and absorbed.left_variant <> coalesce(members.variant, also_left.left_variant)
    and not exists (
        select 1
        from {{ ref('variant_collisions') }} as told
        where
            told.audience = '{{ model.name }}'
            and told.build_id = {{ cdp.current_build_id() }}
            and told.profile_id = survivors.profile_id
            and told.dropped = absorbed.left_variant
    )
{%- endmacro %}
