{# A staging model as a table of what each field of a source means: docs/mapping.md. #}

{# The records of a stream as messages, with the columns that docs/staging.md names. Each target is mapped from a field of the
   record ('address.country': a dot leads into an object) or from an entry that macros/staging/enrichers.sql makes.

   type: identify, track, page, screen, group or alias, or an entry.  event: a track's name, or an entry.
   identifiers: {type: field, or a list of fields}.  traits, properties, context: {name: field}.
   consent: {purpose: field or entry that gives granted or denied}, of `regulation`.
   occurred_at, received_at: fields or entries that are times; else the record counts when it landed.  timezone: of times that
   show no zone.
   key, cursor: what makes a record's version one message; snapshot=true: a whole table each time, of which rows that say what
   their key's latest version said are duplicates.  message_id: the source's own id.  Without these, equal records of a file
   are told apart by their order.
   required: fields without which a record is refused; those of the key always are. #}
{% macro mapping(
    source_name, stream_name, type, event=none, key=[], cursor=none, snapshot=false, message_id=none, identifiers={}, traits={},
    properties={}, context={}, consent={}, regulation='gdpr', occurred_at=none, received_at=none, timezone='UTC', previous_id=none,
    required=[]
) -%}
{%- set key = [key] if key is string else key -%}
{%- set required = (key + ([message_id] if message_id is string else []) + required) | unique | list -%}
{%- set targets = cdp.mapped_targets(type, event, message_id, identifiers, traits, properties, context, consent, occurred_at,
    received_at, previous_id, cursor) -%}
{%- do cdp.refuse_targets(type, event, key, cursor, snapshot, message_id, targets) -%}
{%- do config(meta={'mapping': cdp.declared_mapping(targets, key, required)}) -%}
{%- set columns, texts, raws = {}, {}, {} -%}
{%- for path, raw in cdp.fields_of_targets(targets, key + required) -%}
    {%- set column = cdp.field_column(path, raw, columns) -%}
    {%- do columns.update({cdp.field_key(path, raw): column}) -%}
    {%- do (raws if raw else texts).update({column: path}) -%}
{%- endfor -%}
{%- set steps = cdp.steps_of(targets, columns, timezone) -%}
{%- set known = steps['known'] -%}
{%- set received = 'coalesce(' ~ cdp.value_of(cdp.as_time(received_at), columns, timezone, known) ~ ', landed_at)'
    if received_at is not none else 'landed_at' -%}
with records as (
    {{ cdp.landed(source(source_name, stream_name), texts, raws) }}
){% for name, sql in steps['ctes'] %},

{{ name }} as (
    {{ sql }}
){% endfor %}

select
    {{ cdp.record_columns() }},
    {{ cdp.mapped_ids(source_name, stream_name, key, cursor, snapshot, message_id, columns) }},
    {{ cdp.mapped_text(type, columns) }} as type,
    {{ cdp.mapped_text(event, columns) }} as event_name,
    {{ cdp.mapped_time(occurred_at, columns, timezone, known, required) }},
    {{ received }} as received_at,
    {{ cdp.mapped_identifiers(identifiers, columns) }} as identifiers,
    {{ cdp.mapped_object(traits, columns, timezone, known, blanks=false) }} as traits,
    {{ cdp.mapped_object(properties, columns, timezone, known, blanks=true) }} as properties,
    {{ cdp.mapped_object(context, columns, timezone, known, blanks=true) }} as context,
    {{ cdp.mapped_consents(consent, regulation, columns, known) }} as consent,
    {{ cdp.mapped_text(cdp.field(previous_id.split('.')) if previous_id is string else previous_id, columns) }} as previous_id,
    {{ cdp.missing_field(required, columns) }} as missing_field,
    {{ cdp.mapped_faults(targets, columns, timezone, steps, received) }} as unusable_field
from {{ steps['last'] }}
{%- endmacro %}

{# Every entry of a mapping: [{target, name, entry}], in order. #}
{% macro mapped_targets(type, event, message_id, identifiers, traits, properties, context, consent, occurred_at, received_at,
    previous_id, cursor) -%}
    {%- set targets = [] -%}
    {%- if message_id is not none -%}{%- do targets.append({'target': 'message_id', 'name': none, 'entry': message_id}) -%}{%- endif -%}
    {%- for target, entry in [('type', type), ('event', event)] if entry is not none and entry is not string -%}
        {%- do targets.append({'target': target, 'name': none, 'entry': entry}) -%}
    {%- endfor -%}
    {%- for type_name, entries in identifiers.items() -%}
        {%- for entry in cdp.listed(entries) -%}
            {%- do targets.append({'target': 'identifier', 'name': type_name, 'entry': entry}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for target, entries in [('trait', traits), ('property', properties), ('context', context), ('consent', consent)] -%}
        {%- for name, entry in entries.items() -%}
            {%- do targets.append({'target': target, 'name': name, 'entry': entry}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for target, entry in [('occurred_at', occurred_at), ('received_at', received_at), ('previous_id', previous_id),
        ('cursor', cursor)] if entry is not none -%}
        {%- do targets.append({'target': target, 'name': none, 'entry': entry}) -%}
    {%- endfor -%}
    {{ return(targets) }}
{%- endmacro %}

{# Stops where a mapping contradicts itself. #}
{% macro refuse_targets(type, event, key, cursor, snapshot, message_id, targets) -%}
    {%- if type is string and type not in cdp.message_types() -%}
        {{ cdp.refuse_mapping('type', "'" ~ type ~ "' is none; write one of " ~ cdp.message_types() | join(', ') ~ '.') }}
    {%- endif -%}
    {%- if type == 'track' and event is none -%}
        {{ cdp.refuse_mapping('event', "a track has one: write event='Order Completed'.") }}
    {%- endif -%}
    {%- if (cursor is not none or snapshot) and not key -%}
        {{ cdp.refuse_mapping('key', 'a cursor or a snapshot without a key: name the fields that tell the rows apart.') }}
    {%- endif -%}
    {%- if cursor is not none and snapshot -%}
        {{ cdp.refuse_mapping('snapshot', 'with a cursor each version has its own id: leave one of the two out.') }}
    {%- endif -%}
    {%- if message_id is not none and key -%}
        {{ cdp.refuse_mapping('message_id', "a record has the source's own id or one of its key: leave one of the two out.") }}
    {%- endif -%}
    {%- for each in targets if each['entry'] is none or each['entry'] is number or each['entry'] is boolean -%}
        {{ cdp.refuse_mapping(each['target'] ~ ' ' ~ (each['name'] or ''), each['entry'] ~ " is no field; write its name, or constant('"
            ~ each['entry'] ~ "').") }}
    {%- endfor -%}
    {%- for each in targets if each['target'] in ('occurred_at', 'received_at') and each['entry'] is mapping
        and each['entry']['how'] not in ('date_of', 'epoch', 'field') -%}
        {{ cdp.refuse_mapping(each['target'], each['entry']['how'] ~ ' gives no time; write a field, date_of(…) or epoch(…).') }}
    {%- endfor -%}
{%- endmacro %}

{# What `cdp mapping` reads of it, in the manifest: [{field, target, name, how}]; field is none for a constant. #}
{% macro declared_mapping(targets, key, required) -%}
    {%- set declared = [] -%}
    {%- for field in key -%}{%- do declared.append({'field': field, 'target': 'key', 'name': none, 'how': none}) -%}{%- endfor -%}
    {%- for each in targets -%}
        {%- set how = each['entry']['how'] if each['entry'] is mapping and each['entry']['how'] != 'field' else none -%}
        {%- set fields = cdp.fields_of(each['entry']) -%}
        {%- for leaf in fields -%}
            {%- do declared.append({'field': leaf['path'] | join('.'), 'target': each['target'], 'name': each['name'], 'how': how}) -%}
        {%- endfor -%}
        {%- if not fields -%}
            {%- do declared.append({'field': none, 'target': each['target'], 'name': each['name'], 'how': how}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for field in required if field not in declared | map(attribute='field') -%}
        {%- do declared.append({'field': field, 'target': 'required', 'name': none, 'how': none}) -%}
    {%- endfor -%}
    {{ return(declared) }}
{%- endmacro %}

{# [(path, raw)] of all fields that a mapping reads, each once. #}
{% macro fields_of_targets(targets, more) -%}
    {%- set found, seen = [], [] -%}
    {%- set leaves = [] -%}
    {%- for each in targets -%}{%- do leaves.extend(cdp.fields_of(each['entry'])) -%}{%- endfor -%}
    {%- for field in more -%}{%- do leaves.extend(cdp.fields_of(field)) -%}{%- endfor -%}
    {%- for leaf in leaves if cdp.field_key(leaf['path'], leaf['raw']) not in seen -%}
        {%- do seen.append(cdp.field_key(leaf['path'], leaf['raw'])) -%}
        {%- do found.append((leaf['path'], leaf['raw'])) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# A column's name that no other has and that is no word of an engine. #}
{% macro field_column(path, raw, columns) -%}
    {%- set base = ('raw_' if raw else 'field_') ~ modules.re.sub('[^a-z0-9]+', '_', path | join('_') | lower)[:30] -%}
    {{ return(base if base not in columns.values() else base ~ '_' ~ (columns | length)) }}
{%- endmacro %}
