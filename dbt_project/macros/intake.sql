{# What earlier builds took in. These read the previous state of models further down the graph, so they look the
   relation up instead of naming it with ref(), which would be a cycle. A full refresh starts from nothing. #}

{% macro earlier(name) -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type == 'unit_test' -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(adapter.get_relation(this.database, 'staging', name)) }}
{%- endmacro %}

{# {after, through}: the batches of this build are after < batch_seq <= through. `through` was fixed when staging.builds
   was written, so a batch that lands while a build runs waits for the next one as a whole. #}
{% macro build_window() -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}
        {{ return({'after': -1, 'through': 9223372036854775807}) }}
    {%- endif -%}
    {%- set intake = cdp.earlier('intake') -%}
    {%- set builds = adapter.get_relation(this.database, 'staging', 'builds') -%}
    {%- set after = cdp.scalar('select coalesce(max(batch_seq), 0) as after_batch_seq from ' ~ intake) if intake else 0 -%}
    {%- set through = cdp.scalar('select max(through_batch_seq) as through_batch_seq from ' ~ builds) if builds else none -%}
    {{ return({'after': after, 'through': through if through is not none else 0}) }}
{%- endmacro %}

{# Which of these conditions any row of a relation meets: {name: condition} gives {name: true or false}. A statement leaves out
   what nothing needs, and does not look through history for it. All of them before there is anything to ask. #}
{% macro holds_any(relation, conditions) -%}
    {%- set held = {} -%}
    {%- for name in conditions -%}{%- do held.update({name: true}) -%}{%- endfor -%}
    {%- if execute and model.resource_type != 'unit_test' and adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
        {%- set asked = [] -%}
        {%- for name, condition in conditions.items() -%}
            {%- do asked.append('max(case when ' ~ condition ~ ' then 1 else 0 end) as has_' ~ name) -%}
        {%- endfor -%}
        {%- set found = run_query('select ' ~ asked | join(', ') ~ ' from ' ~ relation) -%}
        {%- for name in conditions -%}{%- do held.update({name: found.columns[loop.index0].values()[0] == 1}) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(held) }}
{%- endmacro %}

{# Those of `streams`, {(source, stream): relation}, of which batches landed in the window. The others have nothing to say, and
   planning their part of a statement costs more than reading a small batch. #}
{% macro with_news(streams, window) -%}
    {%- if not execute or model.resource_type == 'unit_test' -%}{{ return(streams) }}{%- endif -%}
    {%- set relations, conditions, news = {}, {}, {} -%}
    {%- if window.after < window.through -%}
        {%- for (source_name, stream_name), relation in streams.items() -%}
            {%- do relations.update({source_name ~ '__' ~ stream_name: [(source_name, stream_name), relation]}) -%}
            {%- do conditions.update({source_name ~ '__' ~ stream_name:
                "source = '" ~ source_name ~ "' and stream = '" ~ stream_name
                ~ "' and batch_seq > " ~ window.after ~ ' and batch_seq <= ' ~ window.through}) -%}
        {%- endfor -%}
        {%- set batches = graph.sources['source.cdp.cdp.batches'] -%}
        {%- set held = cdp.holds_any(api.Relation.create(
            database=batches.database, schema=batches.schema, identifier=batches.identifier), conditions) -%}
        {%- for name, each in relations.items() if held[name] -%}{%- do news.update({each[0]: each[1]}) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(news) }}
{%- endmacro %}

{# The streams whose records become messages, as [source, stream] pairs: what the staging models read that the list of streams at
   the top of arrivals.sql names. A source that only describes (`meta: {stream: table}` in its twin) is no stream. #}
{% macro read_streams() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for staging in graph.nodes['model.cdp.arrivals'].depends_on.nodes if staging in graph.nodes -%}
            {%- for origin in graph.nodes[staging].depends_on.nodes if origin in graph.sources -%}
                {%- set source = graph.sources[origin] -%}
                {%- set meta = source.config.get('meta') or source.meta or {} -%}
                {%- set pair = [source.source_name, source.name] -%}
                {%- if source.source_name != 'cdp' and meta.get('stream') != 'table' and pair not in found -%}
                    {%- do found.append(pair) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# Whether a stream is one of those. #}
{% macro is_read(source, stream) -%}
    (
        {% for source_name, stream_name in cdp.read_streams() -%}
        ({{ source }} = '{{ source_name }}' and {{ stream }} = '{{ stream_name }}') or
        {% endfor -%}
        1 = 0
    )
{%- endmacro %}

{# The one value that a query returns; none at parse time. #}
{% macro scalar(sql) -%}
    {%- if not execute -%}{{ return(none) }}{%- endif -%}
    {%- set result = run_query(sql) -%}
    {{ return(result.columns[0].values()[0] if result and result.rows | length else none) }}
{%- endmacro %}

{# Stops a build that would mix what must not be mixed; says what to do instead. #}
{% macro refuse_unsafe_build(as_of, fingerprint) -%}
    {%- set builds = adapter.get_relation(this.database, this.schema, this.identifier) -%}
    {%- if builds -%}
        {%- set last = run_query(
            'select as_of, rules_fingerprint from ' ~ builds ~ ' order by started_at desc limit 1'
        ) -%}
        {%- if last.rows | length -%}
            {%- if modules.datetime.datetime.fromisoformat(as_of) < last.columns[0].values()[0] -%}
                {{ exceptions.raise_compiler_error(
                    'as_of ' ~ as_of ~ ' lies before the last build (' ~ last.columns[0].values()[0] ~ '). '
                    ~ 'Changes and deliveries only move forward: give a later as_of, or compute the past in a CDP_HOME of its own.'
                ) }}
            {%- endif -%}
            {%- if last.columns[1].values()[0] != fingerprint and not flags.FULL_REFRESH -%}
                {{ exceptions.raise_compiler_error(
                    'Identity rules or staging mappings changed since the last build. Old and new meaning must not '
                    ~ 'mix: rebuild with `cdp run --full-refresh` (dbt build --full-refresh).'
                ) }}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# The build that runs: the run that asked for it, or dbt's own invocation. #}
{% macro this_build_id() -%}
    {{ return((env_var('CDP_BUILD_ID', '') if execute else '') or invocation_id) }}
{%- endmacro %}
