{# A row for each promise of the relation that is broken: `promise`, as a person reads it, and
   `broken`, how many rows or keys break it. `more`: other promises, each a query of the rows that
   break it. `this_build`: the condition that the rows of this build meet; of the other rows only
   their keys are looked at, for collisions with these. #}
{% macro broken_promises(
    relation, never_null=[], unique=[], accepted_values={}, relationships={}, more={}, this_build=none
) -%}
{%- set promises = [] -%}
{%- set rows = '(select * from ' ~ relation ~ ' where ' ~ this_build ~ ')' if this_build else relation -%}
{%- for column in never_null -%}
    {%- do promises.append(('never_null(' ~ column ~ ')', 'missing_' ~ loop.index)) -%}
{%- endfor -%}
with missing as (
    select
        {%- for column in never_null %}
        count(case when {{ cdp.column_name(column) }} is null then 1 end) as missing_{{ loop.index }},
        {%- endfor %}
        count(*) as all_rows
    from {{ rows }} as promised
),

counted as (
    select cast('rows' as {{ dbt.type_string() }}) as promise, cast(0 as {{ dbt.type_bigint() }}) as broken
    {%- for promise, column in promises %}
    union all
    select '{{ promise }}', {{ column }} from missing
    {%- endfor %}
    {%- for promise in unique %}
    {%- set columns = promise.columns if promise is mapping else [promise] if promise is string else promise %}
    union all
    select 'unique({{ columns | join(', ') }})', count(*)
    from (
        {{ cdp.repeated_keys(relation, rows if this_build, columns, promise.where if promise is mapping) }}
    ) as repeated
    {%- endfor %}
    {%- for column, accepted in accepted_values.items() %}
    union all
    select 'accepted_values({{ column }})', count(*)
    from {{ rows }} as promised
    where {{ cdp.column_name(column) }} not in ('{{ accepted | join("', '") }}')
    {%- endfor %}
    {%- for column, parent in relationships.items() %}
    union all
    select 'relationships({{ column }})', count(*)
    from {{ rows }} as child
    left join {{ parent.to }} as parent
        on parent.{{ cdp.column_name(parent.field) }} = child.{{ cdp.column_name(column) }}
    where
        child.{{ cdp.column_name(column) }} is not null
        and parent.{{ cdp.column_name(parent.field) }} is null
    {%- endfor %}
    {%- for promise, query in more.items() %}
    union all
    select '{{ promise }}', count(*)
    from ({{ query }}) as breaking
    {%- endfor %}
)

select promise, broken
from counted
where broken > 0
{%- endmacro %}

{# The keys that several rows have; of those keys that the rows of this build have, where they are
   given. #}
{% macro repeated_keys(relation, rows, columns, condition) -%}
{%- set keys = [] -%}
{%- for column in columns -%}{%- do keys.append('held.' ~ cdp.column_name(column)) -%}{%- endfor -%}
select {{ keys | join(', ') }}
from {{ relation }} as held
{%- if rows %}
inner join (
    select distinct {{ keys | join(', ') }}
    from {{ rows }} as held
) as ours
    on
        {%- for key in keys %}
        {{ key | replace('held.', 'ours.') }} = {{ key }}{{ ' and' if not loop.last }}
        {%- endfor %}
{%- endif %}
where
    {{ condition or '1 = 1' }}
    {%- if columns | length == 1 %}
    and {{ keys[0] }} is not null
    {%- endif %}
group by {{ keys | join(', ') }}
having count(*) > 1
{%- endmacro %}

{# Whether a check may look at the rows of this build alone: the build is not a full refresh, makes
   nothing anew of what the check reads, and the check passed, as it is written now, in the build before this one. A check that failed, was
   skipped, was changed or has never run looks at everything, and goes on doing so until it passes. So does a check outside of a build
   (`cdp check --data`, `dbt test`). #}
{% macro looks_at_this_build() -%}
    {%- if not execute or flags.FULL_REFRESH or flags.WHICH != 'build' -%}{{ return(false) }}{%- endif -%}
    {%- if cdp.reads_recomputed(model) -%}{{ return(false) }}{%- endif -%}
    {%- set passed = cdp.checks_passed() -%}
    {%- set builds = adapter.get_relation(target.database, 'staging', 'builds') -%}
    {%- if not passed or not builds -%}{{ return(false) }}{%- endif -%}
    {%- set last = run_query(
        "select builds.build_id, max(passed.check_name) as check_name from "
        ~ builds ~ " as builds left join " ~ passed ~ " as passed on passed.build_id = builds.build_id"
        ~ " and passed.check_name = '" ~ cdp.check_as_defined(model) ~ "' group by builds.build_id, builds.started_at"
        ~ " order by builds.started_at desc limit 2"
    ).rows -%}
    {{ return(
        last | length == 2 and last[0][0] == cdp.this_build_id() and last[1][1] is not none
    ) }}
{%- endmacro %}

{# The relation of a model, for the condition `this_build` of a check. Unlike ref(), it makes the check
   no check of that model: a build of the model alone need not run it. #}
{% macro as_built(name) -%}
    {%- if not execute -%}{{ return(none) }}{%- endif -%}
    {%- set node = graph.nodes['model.cdp.' ~ name] -%}
    {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) }}
{%- endmacro %}

{# Whether it stands in the warehouse. Whoever asks a relation while SQL is written asks this first:
   linters and editors compile before the first build. #}
{% macro is_built(name) -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}{{ return(false) }}{%- endif -%}
    {%- set relation = cdp.as_built(name) -%}
    {{ return(adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none) }}
{%- endmacro %}

{# The first of the batches that a check of batches looks at: what landed since the build before this
   one, and what this one took in again because that one did not end; 0 for all. #}
{% macro first_batch_to_check() -%}
    {%- if not cdp.looks_at_this_build() -%}{{ return(0) }}{%- endif -%}
    {%- set through = run_query(
        'select through_batch_seq from ' ~ cdp.as_built('builds') ~ ' order by started_at desc limit 2'
    ).rows[1][0] -%}
    {%- set taken_in = cdp.scalar(
        'select min(batch_seq) as first_seq from ' ~ cdp.as_built('fates')
    ) -%}
    {{ return([through + 1, taken_in if taken_in is not none else through + 1] | min) }}
{%- endmacro %}

{# A check with what it asks: dbt's id of a generic one ends with a hash of its arguments, a singular
   one has its file's. So a promise that is added to a check is held against everything once. #}
{% macro check_as_defined(node) -%}
    {{ return(node.unique_id ~ '.' ~ node.checksum.checksum) }}
{%- endmacro %}

{# Which checks passed in which build, the last one of each; none where no build has ended yet. #}
{% macro checks_passed() -%}
    {{ return(adapter.get_relation(target.database, 'staging', 'checks_passed')) }}
{%- endmacro %}

{# At the end of each run of dbt: which checks passed. A build that is killed before says nothing of
   its checks, so they look at everything in the next one. #}
{% macro remember_checks(results) -%}
{%- if execute and flags.WHICH in ('build', 'test') -%}
    {%- set ran, passed = [], [] -%}
    {%- for result in results if result.node.resource_type == 'test' -%}
        {%- do ran.append(cdp.check_as_defined(result.node)) -%}
        {%- if result.status == 'pass' -%}{%- do passed.append(ran[-1]) -%}{%- endif -%}
    {%- endfor -%}
    {%- set builds = adapter.get_relation(target.database, 'staging', 'builds') -%}
    {%- if ran and builds -%}
        {%- set known = cdp.checks_passed() -%}
        {%- set relation = known or api.Relation.create(
            database=target.database, schema='staging', identifier='checks_passed') -%}
        {%- if known -%}
            {%- call statement('forget', auto_begin=true) -%}
delete from {{ relation }} where check_name in ({{ cdp.string_literals(ran) }})
            {%- endcall -%}
        {%- else -%}
            {%- call statement('create', auto_begin=true) -%}
create table {{ relation }} (check_name {{ dbt.type_string() }}, build_id {{ dbt.type_string() }})
            {%- endcall -%}
        {%- endif -%}
        {%- if passed -%}
            {%- call statement('remember', auto_begin=true) -%}
insert into {{ relation }} (check_name, build_id)
select
    passed.check_name,
    last.build_id
from (
    {%- for name in passed %}
    select '{{ name }}' as check_name{{ ' union all' if not loop.last }}
    {%- endfor %}
) as passed
cross join (
    select build_id
    from {{ builds }}
    order by started_at desc
    limit 1
) as last
            {%- endcall -%}
        {%- endif -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endif -%}
{%- endmacro %}

{# components/build.py knows the sentence by its beginning. #}
{% macro broken_in_words(promise, broken) -%}
    {{ return('broken promise: ' ~ promise ~ ' by ' ~ broken) }}
{%- endmacro %}
