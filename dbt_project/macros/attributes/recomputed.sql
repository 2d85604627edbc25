{# Attributes that are made by one call of a helper are worked out anew only for the people whose
   events moved since the last build: events came, or changed hands in a merge or split, or passed an
   end of the window as as_of went on. How:

   profiles.touched           people whose events profiles.events wrote, added by itself
   profiles.moved_events      all events of the people who moved since the build before
   profiles.calculated        what each attribute was last worked out from

   An attribute whose last state is that of the build before reads moved_events in the place of
   events, and replaces the rows of the people in it (materializations/attribute.sql). Any other is
   worked out whole: one that is new, was changed, or missed a build.

   What changes with the clock is kept in two steps (kept_part): the part that does not, as a table
   beside the attribute (`<name>__part`), which is recomputed like that, and over it the attribute,
   which is worked out whole. #}

{# Where one transaction writes several relations; elsewhere attributes are plain tables. #}
{% macro attributes_are_kept() -%}
    {{ return(target.type in ('duckdb', 'postgres')) }}
{%- endmacro %}

{# Kinds whose value for a person (or whose kept_part) depends on that person's events in the window
   alone: neither on the clock otherwise, nor on other people. #}
{% macro kinds_of_own_events() -%}
    {{ return([
        'count_of', 'unique_count_of', 'sum_of', 'average_of', 'min_of', 'max_of',
        'first_value_of', 'last_value_of', 'first_time_of', 'last_time_of', 'most_frequent_of',
        'unique_list_of', 'map_of', 'sessions_of', 'decayed_sum_of',
    ]) }}
{%- endmacro %}

{# The select of a kind's part that does not change with the clock (or does when a period of
   `period_days` since 1970 ends, and then for everybody), with a row per person. #}
{% macro kept_part(part_sql) -%}
-- kept part
{{ part_sql }}
-- end of kept part
{%- endmacro %}

{# When dbt parses a model that is one call of such a kind: what its rows depend on goes into its
   meta as `recomputed`: {column, hours (the ends of the window, before as_of), names, types (of the
   events), columns (of events), part}. `events`: the select of the matching events. #}
{% macro recompute_by_itself(kind, names, types, options, column, events, part) -%}
    {%- if not execute and cdp.attributes_are_kept() and kind in cdp.kinds_of_own_events()
        and not cdp.conditions_on_the_clock(options) and cdp.is_one_call(model['raw_code'], kind) -%}
        {%- set columns = ['profile_id', 'arrival', 'occurred_at'] -%}
        {%- for name in modules.re.findall('\\bevents\\.("[^"]+"|\\w+)', events) -%}
            {%- if name not in columns -%}{%- do columns.append(name) -%}{%- endif -%}
        {%- endfor -%}
        {%- do config(
            materialized='attribute',
            meta={'recomputed': {
                'column': column,
                'hours': cdp.ends_of_window(options),
                'names': names,
                'types': types,
                'columns': columns | select('in', cdp.columns_of_events()) | list,
                'part': part,
            }}
        ) -%}
        {#- Built before, though the query does not name it. -#}
        {%- do ref('moved_events') -%}
    {%- endif -%}
{%- endmacro %}

{# The columns of profiles.events, as a query writes them. #}
{% macro columns_of_events() -%}
    {%- set columns = [
        'message_id', 'profile_id', 'type', 'event_name', 'occurred_at', 'received_at', 'source',
        'properties', 'arrival',
    ] -%}
    {%- set quoted = [] -%}
    {%- for name in columns + (cdp.event_column_types() | list) -%}
        {%- do quoted.append(cdp.column_name(name)) -%}
    {%- endfor -%}
    {{ return(columns + quoted) }}
{%- endmacro %}

{# Whether what an event says is held against as_of. #}
{% macro conditions_on_the_clock(options) -%}
    {{ return(
        options.get('where') and 'current_build' in cdp.conditions(options['where'], 'events')
    ) }}
{%- endmacro %}

{# How many hours before as_of an event enters or leaves the window. (It enters at as_of, too.) #}
{% macro ends_of_window(options) -%}
    {%- if options.get('last_days') -%}{{ return([24 * options['last_days']]) }}{%- endif -%}
    {%- if options.get('last_hours') -%}{{ return([options['last_hours']]) }}{%- endif -%}
    {%- set ends = [] -%}
    {%- for days in options.get('between_days') or [] if days -%}
        {%- do ends.append(24 * days) -%}
    {%- endfor -%}
    {{ return(ends) }}
{%- endmacro %}

{# Whether a model's text is one call of the kind and nothing else, but for comments and a config()
   that leaves `materialized` alone. #}
{% macro is_one_call(raw_code, kind) -%}
    {%- set text = modules.re.sub('(?s)\\{#.*?#\\}', '', raw_code) -%}
    {%- set text = modules.re.sub('(?m)^\\s*--.*$', '', text) -%}
    {%- if 'materialized' in text -%}{{ return(false) }}{%- endif -%}
    {%- set text = modules.re.sub('(?s)\\{\\{-?\\s*config\\(.*?\\)\\s*-?\\}\\}', '', text) | trim -%}
    {%- set call = modules.re.match('\\{\\{-?\\s*(cdp\\.)?' ~ kind ~ '\\(', text) -%}
    {%- if not call -%}{{ return(false) }}{%- endif -%}
    {#- What is quoted may hold brackets: one letter stands for it. -#}
    {%- set rest = modules.re.sub(
        '(?s)\'(\\\\.|[^\'\\\\])*\'|"(\\\\.|[^"\\\\])*"', 'q', text[call.end():]
    ) -%}
    {%- set open = namespace(brackets=1, ends=none) -%}
    {%- for letter in rest if open.ends is none -%}
        {%- set open.brackets = open.brackets + (1 if letter == '(' else -1 if letter == ')' else 0) -%}
        {%- if open.brackets == 0 -%}{%- set open.ends = loop.index -%}{%- endif -%}
    {%- endfor -%}
    {{ return(
        open.ends is not none
        and modules.re.match('\\s*-?\\}\\}$', rest[open.ends:]) is not none
    ) }}
{%- endmacro %}

{# Of the attributes that are recomputed: {hours, an end of a window: the conditions under which an
   event there matters}. #}
{% macro ends_of_windows() -%}
    {%- set ends = {} -%}
    {%- for attribute in cdp.recomputed_attributes() -%}
        {%- set conditions = [] -%}
        {%- if attribute.names -%}
            {%- do conditions.append(
                'events.event_name in (' ~ cdp.string_literals(attribute.names) ~ ')'
            ) -%}
        {%- endif -%}
        {%- if attribute.types -%}
            {%- do conditions.append(
                'events.type in (' ~ cdp.string_literals(attribute.types) ~ ')'
            ) -%}
        {%- endif -%}
        {%- set condition = conditions | join(' and ') -%}
        {%- for hours in attribute.hours -%}
            {%- if condition not in ends.setdefault(hours, []) -%}
                {%- do ends[hours].append(condition) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(ends) }}
{%- endmacro %}

{# What recompute_by_itself found out, by name of the attribute. #}
{% macro recomputed_attributes() -%}
    {%- set found = [] -%}
    {%- for node in graph.get('nodes', {}).values() if node.resource_type == 'model' -%}
        {%- if node.config.materialized == 'attribute' -%}
            {%- do found.append(node.config.meta.recomputed) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The condition under which a row of moved_events is of a person whom an attribute is recomputed
   for. #}
{% macro moved_for(hours) -%}
    {%- set flags = ['has_news = 1'] -%}
    {%- for each in hours -%}{%- do flags.append('passed_' ~ each ~ 'h = 1') -%}{%- endfor -%}
    ({{ flags | join(' or ') }})
{%- endmacro %}
