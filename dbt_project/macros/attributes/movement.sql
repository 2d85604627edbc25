{# What moved between two builds, and who has taken account of it. #}

{# Incremental strategy of profiles.events: delete and insert, and in the same transaction its mark
   in profiles.touched, and the people whose events are new or have another owner: the one before
   and the one now. #}
{% macro get_incremental_recorded_sql(arguments) -%}
insert into {{ cdp.as_built('touched') }} (write_no, write_id, is_whole, profile_id)
select
    (select coalesce(max(write_no), 0) + 1 from {{ cdp.as_built('touched') }}),
    case when profile_id is null then '{{ invocation_id }}' end,
    case when profile_id is null then false end,
    profile_id
from (
    select before.profile_id
    from {{ arguments.target_relation }} as before
    inner join {{ arguments.temp_relation }} as written on written.arrival = before.arrival
    where before.profile_id is not null and before.profile_id <> coalesce(written.profile_id, '')
    union
    select written.profile_id
    from {{ arguments.temp_relation }} as written
    left join {{ arguments.target_relation }} as before on before.arrival = written.arrival
    where
        written.profile_id is not null
        and (before.profile_id is null or before.profile_id <> written.profile_id)
    union all
    select cast(null as {{ dbt.type_string() }}) as profile_id
) as people;
{{ get_incremental_delete_insert_sql(arguments) }}
{%- endmacro %}

{# Hook of profiles.events: where all of it was written, the mark says so. #}
{% macro record_whole_write() -%}
{%- if cdp.attributes_are_kept() -%}
insert into {{ cdp.as_built('touched') }} (write_no, write_id, is_whole)
select
    coalesce(max(write_no), 0) + 1,
    '{{ invocation_id }}',
    true
from {{ cdp.as_built('touched') }}
having count(case when write_id = '{{ invocation_id }}' then 1 end) = 0
{%- endif -%}
{%- endmacro %}

{# From where moved_events goes on: {as_of, write_no} of what it was last made of; none where that
   says nothing about what moved since. #}
{% macro movement() -%}
    {%- if flags.FULL_REFRESH or not cdp.attributes_are_kept() or not cdp.is_built('calculated') -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(
        'select pool.as_of, since.write_no, build.as_of'
        ~ ' from ' ~ cdp.as_built('calculated') ~ ' as pool'
        ~ ' inner join ' ~ cdp.as_built('touched') ~ ' as since on since.write_id = pool.write_id'
        ~ ' cross join ' ~ cdp.as_built('current_build') ~ ' as build'
        ~ " where pool.relation = 'moved_events' and pool.as_of <= build.as_of and not exists ("
        ~ 'select 1 from ' ~ cdp.as_built('touched') ~ ' as later'
        ~ ' where later.is_whole and later.write_no > since.write_no)'
    ).rows -%}
    {{ return(
        {'since': found[0][0] | string, 'write_no': found[0][1], 'as_of': found[0][2] | string}
        if found | length == 1 else none
    ) }}
{%- endmacro %}

{# Hook of moved_events: what it is made of, and since when. Marks before the last have served. #}
{% macro record_movement() -%}
{%- if cdp.attributes_are_kept() -%}
{%- set calculated, touched = cdp.as_built('calculated'), cdp.as_built('touched') -%}
{%- set text = dbt.type_string() -%}
{%- set before = run_query(
    'select write_id, as_of from ' ~ calculated ~ " where relation = 'moved_events'"
).rows if cdp.movement() else [] -%}
{%- set since_write = cdp.text_literal(before[0][0]) if before else 'null' -%}
{%- set since = cdp.timestamp_literal(before[0][1] | string) if before
    else 'cast(null as ' ~ dbt.type_timestamp() ~ ')' -%}
delete from {{ calculated }} where relation = 'moved_events';
insert into {{ calculated }} (
    relation, write_id, as_of, is_whole, build_id, since_write_id, since_as_of
)
select
    'moved_events',
    {{ cdp.last_write() }},
    build.as_of,
    {{ not before }},
    build.build_id,
    cast({{ since_write }} as {{ text }}),
    {{ since }}
from {{ cdp.as_built('current_build') }} as build;
delete from {{ touched }} where write_no < (select max(latest.write_no) from {{ touched }} as latest)
{%- endif -%}
{%- endmacro %}

{% macro last_write() -%}
    (
        select max(latest.write_id)
        from {{ cdp.as_built('touched') }} as latest
        where latest.write_no = (
            select max(every.write_no) from {{ cdp.as_built('touched') }} as every
        )
    )
{%- endmacro %}
