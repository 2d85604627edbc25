{# The identity rules of dbt_project.yml (vars: identity) as SQL. #}

{% macro identifier_types() -%}
    {{ cdp.string_literals(var('identity')['identifiers'].keys() | list) }}
{%- endmacro %}

{# 1 is the strongest; an undeclared type comes last. #}
{% macro identifier_priority(type) -%}
    case {{ type }}
        {% for name, rule in var('identity')['identifiers'].items() %}when '{{ name }}' then {{ rule['priority'] }}
        {% endfor %}
        else 1000000
    end
{%- endmacro %}

{# How many values of a type one profile may ever hold. #}
{% macro identifier_limit(type) -%}
    case
        {% for name, rule in var('identity')['identifiers'].items() if rule.get('limit') %}when {{ type }} = '{{ name }}' then {{ rule['limit'] }}
        {% endfor %}
        when true then 1000000000
    end
{%- endmacro %}

{% macro string_literals(values) -%}
    {%- for value in values -%}
        {{ cdp.text_literal(value | string) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# An identifier as a 63-bit key: what the resolution joins on. Senders name types as they like, so an = in one is written
   otherwise: two identifiers have one key by chance alone, which would fail a test, loudly. #}
{% macro identifier_key(type, value) -%}
    {%- set name = "case when " ~ type ~ " in (" ~ cdp.identifier_types() ~ ") then " ~ type
        ~ " else replace(replace(" ~ type ~ ", '%', '%25'), '=', '%3D') end" -%}
    {{ cdp.hash64(name ~ " || '=' || " ~ value) }}
{%- endmacro %}

{# The key of a forced group's handle, which no identifier can have. #}
{% macro handle_key(root) -%}
    {{ cdp.hash64("'%forced=' || cast(" ~ root ~ " as " ~ dbt.type_string() ~ ")") }}
{%- endmacro %}

{# {number, after, signature} of the resolution that begins: it goes on after the last one that ended, unless overrides
   changed or the build is a full refresh. #}
{% macro resolution_to_begin(overrides) -%}
    {%- if not execute or model.resource_type == 'unit_test' or not load_relation(overrides) -%}
        {{ return({'number': 1, 'after': -1, 'signature': ''}) }}
    {%- endif -%}
    {%- set decided = run_query(
        'select action, a_type, a_value, b_type, b_value from ' ~ overrides ~ ' order by 1, 2, 3, 4, 5'
    ) -%}
    {%- set signature = local_md5(decided.rows | map('list') | list | string) -%}
    {%- set begun = adapter.get_relation(this.database, this.schema, 'resolution') -%}
    {%- set ended = adapter.get_relation(this.database, this.schema, 'resolved') -%}
    {%- set number = (cdp.scalar('select max(resolution_no) from ' ~ begun) or 0) if begun else 0 -%}
    {%- set state = namespace(after=-1) -%}
    {%- if begun and ended and not flags.FULL_REFRESH
        and adapter.get_relation(this.database, this.schema, 'identifiers')
        and cdp.keeps_all_tuples() -%}
        {%- set last = run_query('select resolution_no, through_arrival, signature from ' ~ ended) -%}
        {%- if last.rows | length and last.rows[0][0] == number and last.rows[0][2] == signature -%}
            {%- set state.after = last.rows[0][1] -%}
        {%- endif -%}
    {%- endif -%}
    {{ return({'number': number + 1, 'after': state.after, 'signature': signature}) }}
{%- endmacro %}

{# Whether `kept` is as old as the oldest profile, which its first tuple founded: it is not after it, or `identifiers`, was
   refreshed alone. One of an older version has no deciding identifiers. #}
{% macro keeps_all_tuples() -%}
    {%- set kept = adapter.get_relation(this.database, this.schema, 'kept') -%}
    {%- if not kept or 'decides' not in (adapter.get_columns_in_relation(kept) | map(attribute='name') | map('lower')) -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(cdp.scalar('select min(arrival) from ' ~ kept) == cdp.scalar('select min(founded_at) from '
        ~ adapter.get_relation(this.database, this.schema, 'identifiers'))) }}
{%- endmacro %}

{# The messages of this build are those that arrived after this. A literal, so that engines skip what they need not read. #}
{% macro after_arrival() -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type == 'unit_test' -%}{{ return(-1) }}{%- endif -%}
    {%- set resolution = adapter.get_relation(this.database, this.schema, 'resolution') -%}
    {{ return(cdp.scalar('select after_arrival from ' ~ resolution) if resolution else -1) }}
{%- endmacro %}

{# The distinct sets of identifiers in the messages of this build, each with its first arrival in it. #}
{% macro distinct_tuples(messages) -%}
    select
        identifiers,
        min(arrival) as arrival,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from {{ messages }}
    where arrival > {{ cdp.after_arrival() }}
    group by identifiers
{%- endmacro %}

{# A relation of this layer as the last resolution left it; none where this one starts from the beginning. #}
{% macro earlier_identity(name) -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type == 'unit_test' -%}{{ return(none) }}{%- endif -%}
    {%- set resolution = adapter.get_relation(this.database, this.schema, 'resolution') -%}
    {%- if not resolution or cdp.scalar('select after_arrival from ' ~ resolution) < 0 -%}{{ return(none) }}{%- endif -%}
    {{ return(adapter.get_relation(this.database, this.schema, name)) }}
{%- endmacro %}

{# {profiles, largest_profile} as the resolution just before this one left them; none where this one starts from the
   beginning, or where that one did not count. #}
{% macro vitals_before() -%}
    {%- set vitals = cdp.earlier_identity('vitals') -%}
    {%- if not vitals or 'resolution_no' not in (adapter.get_columns_in_relation(vitals) | map(attribute='name') | map('lower')) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set resolution = adapter.get_relation(this.database, this.schema, 'resolution') -%}
    {%- set last = run_query('select vitals.profiles, vitals.largest_profile from ' ~ vitals ~ ' as vitals inner join '
        ~ resolution ~ ' as resolution on vitals.resolution_no = resolution.resolution_no - 1') -%}
    {%- if last.rows | length != 1 -%}{{ return(none) }}{%- endif -%}
    {{ return({'profiles': last.rows[0][0], 'largest_profile': last.rows[0][1]}) }}
{%- endmacro %}

{# Where a resolution starts from the beginning over people who are there already: their identifiers before it. #}
{% macro people_before() -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}{{ return(none) }}{%- endif -%}
    {%- set resolution = adapter.get_relation(this.database, this.schema, 'resolution') -%}
    {%- if not resolution or cdp.scalar('select after_arrival from ' ~ resolution) >= 0 -%}{{ return(none) }}{%- endif -%}
    {{ return(adapter.get_relation(this.database, this.schema, 'identifiers')) }}
{%- endmacro %}

{# A hook of splits: those of a resolution that never ended go, unless they came to pass; this one finds them again. #}
{% macro forget_unfinished_splits() -%}
    {%- set before = cdp.people_before() -%}
    {%- set ended = adapter.get_relation(this.database, this.schema, 'resolved') if before else none -%}
    {%- if ended and load_relation(this) -%}
        {%- set unfinished = 'resolution_no > ' ~ (cdp.scalar('select max(resolution_no) from ' ~ ended) or 0) -%}
        {%- if cdp.scalar('select count(*) from ' ~ this ~ ' where ' ~ unfinished) -%}
delete from {{ this }}
where {{ unfinished }} and not exists (
    select 1
    from (
        select
            identifier_type as held_type,
            identifier_value as held_value,
            profile_id as held_by
        from {{ before }}
    ) as held
    where held.held_type = identifier_type and held.held_value = identifier_value and held.held_by = into_profile_id
)
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# A hook of identifiers: a set that was met before changes nobody, it only says that what it kept was seen again. #}
{% macro times_of_what_was_seen_again() -%}
    {%- if cdp.earlier_identity('seen_again') -%}
merge into {{ this }} as known
using (
    select
        kept.identifier,
        min(seen_again.first_seen_at) as first_seen_at,
        max(seen_again.last_seen_at) as last_seen_at
    from {{ ref('seen_again') }} as seen_again
    inner join {{ ref('kept') }} as kept on kept.arrival = seen_again.first_arrival
    group by kept.identifier
) as again
on known.identifier = again.identifier
when matched and (again.first_seen_at < known.first_seen_at or again.last_seen_at > known.last_seen_at) then update set
    first_seen_at = case when again.first_seen_at < known.first_seen_at then again.first_seen_at else known.first_seen_at end,
    last_seen_at = case when again.last_seen_at > known.last_seen_at then again.last_seen_at else known.last_seen_at end
    {%- endif -%}
{%- endmacro %}

{# A hook of what is kept from build to build: empties it where the resolution starts from the beginning. Where it goes on,
   a relation that says when its rows arrived loses those of this build, in case the model runs again. #}
{% macro start_over(arrives=false) -%}
    {%- if execute and not flags.FULL_REFRESH -%}
        {%- set resolution = adapter.get_relation(this.database, this.schema, 'resolution') -%}
        {%- if resolution and load_relation(this) -%}
            {%- set after = cdp.scalar('select after_arrival from ' ~ resolution) -%}
            {%- if after < 0 or arrives -%}
                {%- do run_query('delete from ' ~ this ~ (' where arrival > ' ~ after if after >= 0 else '')) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
