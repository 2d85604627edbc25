{# The window of a resolution: which messages it resolves, and what the one before it left. #}

{# A relation that people query, in schema `identity`; none where it is not there yet. #}
{% macro identity_relation(name) -%}
    {{ return(adapter.get_relation(this.database, 'identity', name)) }}
{%- endmacro %}

{# A relation of the steps in between, in schema `identity_steps`; none where it is not there
   yet. #}
{% macro identity_step(name) -%}
    {{ return(adapter.get_relation(this.database, 'identity_steps', name)) }}
{%- endmacro %}

{% macro has_column(relation, name) -%}
    {%- set columns = adapter.get_columns_in_relation(relation) -%}
    {{ return(name in (columns | map(attribute='name') | map('lower'))) }}
{%- endmacro %}

{# {number, after, signature} of the resolution that begins: it goes on after the last one that
   ended, unless overrides changed or the build is a full refresh. #}
{% macro resolution_to_begin(overrides) -%}
    {%- if not execute or model.resource_type == 'unit_test' or not load_relation(overrides) -%}
        {{ return({'number': 1, 'after': -1, 'signature': ''}) }}
    {%- endif -%}
    {%- set decisions -%}
select
    action,
    a_type,
    a_value,
    b_type,
    b_value
from {{ overrides }}
order by 1, 2, 3, 4, 5
    {%- endset -%}
    {%- set decided = run_query(decisions) -%}
    {%- set signature = local_md5(decided.rows | map('list') | list | string) -%}
    {%- set begun = cdp.identity_step('current_resolution') -%}
    {%- set ended = cdp.identity_step('finished_resolution') -%}
    {%- set number = cdp.last_resolution_no(begun) -%}
    {%- set state = namespace(after=-1) -%}
    {%- set has_history = begun and ended and cdp.identity_relation('identifiers') -%}
    {%- if has_history and not flags.FULL_REFRESH and cdp.keeps_all_sets() -%}
        {%- set last_end -%}
select
    resolution_no,
    through_arrival,
    signature
from {{ ended }}
        {%- endset -%}
        {%- set last = run_query(last_end) -%}
        {%- if last.rows | length and last.rows[0][0] == number and last.rows[0][2] == signature -%}
            {%- set state.after = last.rows[0][1] -%}
        {%- endif -%}
    {%- endif -%}
    {{ return({'number': number + 1, 'after': state.after, 'signature': signature}) }}
{%- endmacro %}

{# The number of the last resolution that began. Where an older version of the project resolved,
   or the steps were dropped, the history knows it: a number is never used twice. #}
{% macro last_resolution_no(begun) -%}
    {%- if begun -%}
        {{ return(cdp.scalar('select max(resolution_no) from ' ~ begun) or 0) }}
    {%- endif -%}
    {%- set state = namespace(last=0) -%}
    {%- for name in ['vitals', 'splits', 'renamings'] -%}
        {%- set history = cdp.identity_relation(name) -%}
        {%- if history and cdp.has_column(history, 'resolution_no') -%}
            {%- set last = cdp.scalar('select max(resolution_no) from ' ~ history) or 0 -%}
            {%- set state.last = [state.last, last] | max -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(state.last) }}
{%- endmacro %}

{# Whether `kept` is as old as the oldest profile, which the first set founded: it is not where
   `kept`, or `identifiers`, was refreshed alone. #}
{% macro keeps_all_sets() -%}
    {%- set kept = cdp.identity_step('kept') -%}
    {%- if not kept -%}{{ return(false) }}{%- endif -%}
    {{ return(cdp.scalar('select min(arrival) from ' ~ kept)
        == cdp.scalar('select min(founded_at) from ' ~ cdp.identity_relation('identifiers'))) }}
{%- endmacro %}

{# The messages of this build are those that arrived after this. A literal, so that engines skip
   what they need not read. #}
{% macro after_arrival() -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type == 'unit_test' -%}
        {{ return(-1) }}
    {%- endif -%}
    {%- set resolution = cdp.identity_step('current_resolution') -%}
    {{ return(cdp.scalar('select after_arrival from ' ~ resolution) if resolution else -1) }}
{%- endmacro %}

{# The distinct sets of identifiers in the messages of this build, each with its first arrival in
   it. What protected sources say is none of them. #}
{% macro distinct_sets(messages) -%}
    select
        identifiers,
        min(arrival) as arrival,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from {{ messages }}
    where
        arrival > {{ cdp.after_arrival() }}
        {%- if cdp.protected_sources() %}
        and not {{ cdp.is_protected('source') }}
        {%- endif %}
    group by identifiers
{%- endmacro %}

{# Whether this resolution goes on after an earlier one. #}
{% macro resolution_goes_on() -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type == 'unit_test' -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set resolution = cdp.identity_step('current_resolution') -%}
    {{ return(resolution and cdp.scalar('select after_arrival from ' ~ resolution) >= 0) }}
{%- endmacro %}

{# A relation of schema `identity` as the last resolution left it; none where this one starts
   from the beginning. #}
{% macro earlier_identity(name) -%}
    {{ return(cdp.identity_relation(name) if cdp.resolution_goes_on() else none) }}
{%- endmacro %}

{# The same of a step. #}
{% macro earlier_step(name) -%}
    {{ return(cdp.identity_step(name) if cdp.resolution_goes_on() else none) }}
{%- endmacro %}

{# {profiles, largest_profile} as the resolution just before this one left them; none where this
   one starts from the beginning, or where that one did not count. #}
{% macro vitals_before() -%}
    {%- set vitals = cdp.earlier_identity('vitals') -%}
    {%- if not vitals or not cdp.has_column(vitals, 'resolution_no') -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set last_vitals -%}
select
    vitals.profiles,
    vitals.largest_profile
from {{ vitals }} as vitals
inner join {{ cdp.identity_step('current_resolution') }} as resolution
    on vitals.resolution_no = resolution.resolution_no - 1
    {%- endset -%}
    {%- set last = run_query(last_vitals) -%}
    {%- if last.rows | length != 1 -%}{{ return(none) }}{%- endif -%}
    {{ return({'profiles': last.rows[0][0], 'largest_profile': last.rows[0][1]}) }}
{%- endmacro %}

{# Where a resolution starts from the beginning over people who are there already: their
   identifiers before it. #}
{% macro people_before() -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}{{ return(none) }}{%- endif -%}
    {%- set resolution = cdp.identity_step('current_resolution') -%}
    {%- if not resolution or cdp.scalar('select after_arrival from ' ~ resolution) >= 0 -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(cdp.identity_relation('identifiers')) }}
{%- endmacro %}

{# A hook of splits: those of a resolution that never ended go, unless they came to pass; this
   one finds them again. #}
{% macro forget_unfinished_splits() -%}
    {%- set before = cdp.people_before() -%}
    {%- set ended = cdp.identity_step('finished_resolution') if before else none -%}
    {%- if ended and load_relation(this) -%}
        {%- set last_ended = cdp.scalar('select max(resolution_no) from ' ~ ended) or 0 -%}
        {%- set unfinished = 'resolution_no > ' ~ last_ended -%}
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
    where
        held.held_type = identifier_type
        and held.held_value = identifier_value
        and held.held_by = into_profile_id
)
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# A hook of identifiers: a set that was met before changes nobody, it only says that what it
   kept was seen again. #}
{% macro times_of_what_was_seen_again() -%}
    {%- if cdp.earlier_step('repeated_sets') -%}
merge into {{ this }} as known
using (
    select
        kept.identifier,
        min(repeated_sets.first_seen_at) as first_seen_at,
        max(repeated_sets.last_seen_at) as last_seen_at
    from {{ ref('repeated_sets') }} as repeated_sets
    inner join {{ ref('kept') }} as kept on kept.arrival = repeated_sets.first_arrival
    group by kept.identifier
) as again
on known.identifier = again.identifier
when matched
    and (
        again.first_seen_at < known.first_seen_at or again.last_seen_at > known.last_seen_at
    )
then update set
    first_seen_at = case
        when again.first_seen_at < known.first_seen_at then again.first_seen_at
        else known.first_seen_at
    end,
    last_seen_at = case
        when again.last_seen_at > known.last_seen_at then again.last_seen_at
        else known.last_seen_at
    end
    {%- endif -%}
{%- endmacro %}

{# A hook of what is kept from build to build: empties it where the resolution starts from the
   beginning. Where it goes on, a relation that says when its rows arrived loses those of this
   build, in case the model runs again. #}
{% macro start_over(arrives=false) -%}
    {%- if execute and not flags.FULL_REFRESH -%}
        {%- set resolution = cdp.identity_step('current_resolution') -%}
        {%- if resolution and load_relation(this) -%}
            {%- set after = cdp.scalar('select after_arrival from ' ~ resolution) -%}
            {%- if after < 0 or arrives -%}
                {%- set outdated -%}
delete from {{ this }}
{% if after >= 0 %}where arrival > {{ after }}{% endif %}
                {%- endset -%}
                {%- do run_query(outdated) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
