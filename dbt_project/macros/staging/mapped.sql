{# The parts of mapping(): what is worked out first, and the columns made of it. #}

{# A field as a time; an entry that is one as it is. #}
{% macro as_time(entry) -%}
    {{ return(cdp.date_of(entry) if entry is string or entry['how'] == 'field' else entry) }}
{%- endmacro %}

{# The entry or field that an entry reads first: what a fault shows. #}
{% macro source_of(entry) -%}
    {{ return(entry if entry is string or entry['how'] in ('field', 'first_of', 'expression') or not entry['reads'] else entry['reads'][0]) }}
{%- endmacro %}

{# What takes several steps, or is needed twice, as CTEs over `records`: {ctes: [(name, sql)], last, known: {entry_key: SQL},
   times: {text: column}, judged: {text and currency: column}}. Texts that are times are read together, and so are amounts. #}
{% macro steps_of(targets, columns, timezone) -%}
    {%- set entries = cdp.entries_within(targets) -%}
    {%- set known, times, judged, rates, valued, ctes = {}, {}, {}, {}, {}, [] -%}
    {%- for entry in entries -%}
        {%- set text = cdp.time_text_of(entry, columns, timezone) -%}
        {%- if text is not none and text not in times -%}{%- do times.update({text: 'time_' ~ (times | length + 1)}) -%}{%- endif -%}
        {%- if text is not none -%}
            {%- do known.update({cdp.entry_key(entry): times[text] if entry['how'] == 'date_of'
                else 'case when ' ~ times[text] ~ ' is not null then ' ~ text ~ ' end'}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if times -%}{%- do ctes.append(('timed', cdp.with_times('records', cdp.turned(times), timezone))) -%}{%- endif -%}
    {%- for entry in entries if entry['how'] in ('money', 'in_base_currency') -%}
        {%- set currency = cdp.currency_of_entry(entry, columns) -%}
        {%- set amounts = judged.setdefault(currency or '', {}) -%}
        {%- set text = cdp.value_of(entry['reads'][0], columns, timezone) -%}
        {%- if text not in amounts -%}{%- do amounts.update({text: 'money_' ~ judged | length ~ '_' ~ (amounts | length + 1)}) -%}{%- endif -%}
    {%- endfor -%}
    {%- for currency, amounts in judged.items() -%}
        {%- set name = 'judged' ~ ('_' ~ loop.index if judged | length > 1 else '') -%}
        {%- do ctes.append((name, cdp.with_judged_money(ctes[-1][0] if ctes else 'records', cdp.turned(amounts), currency or none))) -%}
    {%- endfor -%}
    {%- set amounts, values = {}, {} -%}
    {%- for entry in entries if entry['how'] == 'in_base_currency' -%}
        {%- set number = rates | length + 1 -%}
        {%- set day = cdp.value_of(cdp.as_time(entry['reads'][2]), columns, timezone, known) -%}
        {%- do amounts.update({'amount_' ~ number:
            judged[cdp.currency_of_entry(entry, columns)][cdp.value_of(entry['reads'][0], columns, timezone)]}) -%}
        {%- do rates.update({'rate_' ~ number:
            ["case when amount_" ~ number ~ " like '% %' then " ~ cdp.currency_of_money('amount_' ~ number) ~ ' end', day]}) -%}
        {%- do values.update({cdp.entry_key(entry): cdp.money_at_rate('amount_' ~ number, 'rate_' ~ number)}) -%}
    {%- endfor -%}
    {%- if rates -%}
        {%- do ctes.append(('in_money', cdp.with_values(ctes[-1][0], amounts))) -%}
        {%- do ctes.append(('rated', cdp.with_rates('in_money', rates))) -%}
    {%- endif -%}
    {%- for entry in entries if entry['how'] in ('country_iso', 'date_of', 'epoch', 'number', 'boolean')
        and cdp.entry_key(entry) not in known -%}
        {%- do values.update({cdp.entry_key(entry): cdp.value_of(entry, columns, timezone, known)}) -%}
    {%- endfor -%}
    {%- for entry in values -%}{%- do valued.update({'value_' ~ loop.index: values[entry]}) -%}{%- do known.update({entry: 'value_' ~ loop.index}) -%}{%- endfor -%}
    {%- if valued -%}{%- do ctes.append(('valued', cdp.with_values(ctes[-1][0] if ctes else 'records', valued))) -%}{%- endif -%}
    {{ return({'ctes': ctes, 'last': ctes[-1][0] if ctes else 'records', 'known': known, 'times': times, 'judged': judged}) }}
{%- endmacro %}

{# The entries of targets, and those within them, that are no plain fields; times of the message among them. #}
{% macro entries_within(targets) -%}
    {%- set found, waiting = [], [] -%}
    {%- for each in targets -%}
        {%- do waiting.append(cdp.as_time(each['entry']) if each['target'] in ('occurred_at', 'received_at') else each['entry']) -%}
    {%- endfor -%}
    {%- for entry in waiting if entry is mapping -%}
        {%- if entry['how'] == 'in_base_currency' -%}{%- do waiting.append(cdp.as_time(entry['reads'][2])) -%}{%- endif -%}
        {%- for each in entry['reads'] -%}{%- do waiting.append(each) -%}{%- endfor -%}
        {%- if entry not in found -%}{%- do found.append(entry) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The text that an entry reads as to_utc does; none where it reads otherwise. #}
{% macro time_text_of(entry, columns, timezone) -%}
    {%- if entry['how'] == 'change_time'
        or (entry['how'] == 'date_of' and not entry['formats'] and entry['timezone'] in (none, timezone)) -%}
        {{ return(cdp.value_of(entry['reads'][0], columns, timezone)) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{% macro currency_of_entry(entry, columns) -%}
    {{ return(cdp.value_of(entry['reads'][1], columns) if entry['how'] == 'in_base_currency' or entry['has_currency'] else none) }}
{%- endmacro %}

{# 'EUR 12.50' at a rate, as the text of a decimal; null without a rate. #}
{% macro money_at_rate(money, rate) -%}
    case
        when {{ money }} like '% %'
            then cast(cast(round({{ cdp.to_money('substr(' ~ money ~ ', 5)') }} * {{ rate }}, 2) as {{ cdp.type_amount() }}) as {{ dbt.type_string() }})
    end
{%- endmacro %}

{# {b: a} of {a: b}. #}
{% macro turned(values) -%}
    {%- set turned = {} -%}
    {%- for key, value in values.items() -%}{%- do turned.update({value: key}) -%}{%- endfor -%}
    {{ return(turned) }}
{%- endmacro %}

{# All columns of a relation or CTE and more, {name: SQL}, each worked out once. #}
{% macro with_values(source_sql, values) -%}
    {{ return(adapter.dispatch('with_values', 'cdp')(source_sql, values)) }}
{%- endmacro %}

{% macro default__with_values(source_sql, values) -%}
select
    held.*,
    {% for name, sql in values.items() -%}
    {{ sql }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as held
{%- endmacro %}

{# The planner puts an expression in each place of its name; it leaves alone what an offset fences off, while a filter on the
   relation's own columns goes on to reach what they come from. #}
{% macro postgres__with_values(source_sql, values) -%}
select
    held.*,
    {% for name in values -%}
    worked_out.{{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ source_sql }} as held
cross join lateral (
    select
        {% for name, sql in values.items() -%}
        {{ sql }} as {{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    offset 0
) as worked_out
{%- endmacro %}

{% macro mapped_ids(source_name, stream_name, key, cursor, snapshot, message_id, columns) -%}
    {%- set text, keys = dbt.type_string(), [] -%}
    {%- for field in key -%}{%- do keys.append(cdp.value_of(field, columns)) -%}{%- endfor -%}
    {%- if message_id is not none -%}
    {{ cdp.value_of(message_id, columns) }} as message_id,
    cast(null as {{ text }}) as record_key,
    cast(null as {{ text }}) as record_hash
    {%- elif snapshot -%}
    cast(null as {{ text }}) as message_id,
    {{ keys | join(" || '|' || ") }} as record_key,
    {{ dbt.hash('body') }} as record_hash
    {%- elif key -%}
    {{ cdp.keyed_message_id(source_name, stream_name, keys, cdp.value_of(cursor, columns) if cursor is not none else "''") }} as message_id,
    cast(null as {{ text }}) as record_key,
    cast(null as {{ text }}) as record_hash
    {%- else -%}
    cast(null as {{ text }}) as message_id,
    cast(null as {{ text }}) as record_key,
    case when {{ cdp.holds_object('ltrim(body)') }} then body end as record_hash
    {%- endif -%}
{%- endmacro %}

{% macro mapped_text(entry, columns) -%}
    {%- if entry is none -%}cast(null as {{ dbt.type_string() }})
    {%- else -%}{{ cdp.text_literal(entry) if entry is string else cdp.value_of(entry, columns) }}
    {%- endif -%}
{%- endmacro %}

{# A time that a required field says is null where it is none; another record without one counts when it landed. #}
{% macro mapped_time(entry, columns, timezone, known, required) -%}
    {%- if entry is none -%}
    cast(null as {{ dbt.type_string() }}) as occurred_text,
    landed_at as occurred_at,
    false as occurred_is_impossible
    {%- else -%}
    {%- set moment = cdp.value_of(cdp.as_time(entry), columns, timezone, known) -%}
    {%- set text = cdp.value_of(cdp.source_of(cdp.as_time(entry)), columns, timezone, known) -%}
    {%- set is_required = cdp.fields_of(entry)[0]['path'] | join('.') in required -%}
    nullif({{ text }}, '') as occurred_text,
    {{ moment if is_required else 'coalesce(' ~ moment ~ ', landed_at)' }} as occurred_at,
    case when {{ moment }} is null and trim({{ text }}) <> '' then true else false end as occurred_is_impossible
    {%- endif -%}
{%- endmacro %}

{% macro mapped_identifiers(identifiers, columns) -%}
    {%- set values = {} -%}
    {%- for type, entries in identifiers.items() -%}
        {%- set said = [] -%}
        {%- for entry in cdp.listed(entries) -%}{%- do said.append(cdp.value_of(entry, columns)) -%}{%- endfor -%}
        {%- do values.update({type: said}) -%}
    {%- endfor -%}
    {{ cdp.identifiers(values) if values else "'[]'" }}
{%- endmacro %}

{# One entry or a list of them, as a list. #}
{% macro listed(entries) -%}
    {{ return([entries] if entries is string or entries is mapping else entries) }}
{%- endmacro %}

{% macro mapped_object(values, columns, timezone, known, blanks) -%}
    {%- if not values -%}cast(null as {{ dbt.type_string() }})
    {%- else -%}
    {%- set parts = [] -%}
    {%- for name, entry in values.items() -%}
        {%- do parts.append(cdp.text_literal('"' ~ cdp.path_key(name | string) ~ '":') ~ ' || '
            ~ cdp.json_of(entry, cdp.value_of(entry, columns, timezone, known), blanks)) -%}
    {%- endfor -%}
    '{' || {{ cdp.join_parts(parts) }} || '}'
    {%- endif -%}
{%- endmacro %}

{% macro mapped_consents(consent, regulation, columns, known) -%}
    {%- if not consent -%}cast(null as {{ dbt.type_string() }})
    {%- else -%}
    {%- set parts = [] -%}
    {%- for purpose, entry in consent.items() -%}
        {%- set about = '{"regulation":"' ~ regulation ~ '","purpose":"' ~ cdp.path_key(purpose) ~ '","state":"' -%}
        {%- set state = cdp.value_of(entry, columns, known=known) -%}
        {%- do parts.append('case ' ~ state ~ " when 'granted' then " ~ cdp.text_literal(about ~ 'granted"}')
            ~ " when 'denied' then " ~ cdp.text_literal(about ~ 'denied"}') ~ ' end') -%}
    {%- endfor -%}
    {%- if parts | length == 1 -%}'[' || {{ parts[0] }} || ']'
    {%- else -%}nullif('[' || {{ cdp.join_parts(parts) }} || ']', '[]')
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro missing_field(required, columns) -%}
    {%- if not required -%}cast(null as {{ dbt.type_string() }})
    {%- else -%}
    case
        {% for field in required -%}
        {%- set path = field.split('.') -%}
        {%- set column = columns.get(cdp.field_key(path)) or columns[cdp.field_key(path, true)] %}
        when coalesce({{ column }}, '') < '!' and coalesce(trim({{ column }}), '') = '' then {{ cdp.text_literal(field) }}
        {% endfor -%}
    end
    {%- endif -%}
{%- endmacro %}

{# Fields that say what their entry cannot read: the message stays, without them. #}
{% macro mapped_faults(targets, columns, timezone, steps, received) -%}
    {%- set faults, told = [], [] -%}
    {%- set known, judged = steps['known'], steps['judged'] -%}
    {%- for entry in cdp.entries_within(targets) if entry['how'] in ('money', 'in_base_currency') -%}
        {%- set currency = cdp.currency_of_entry(entry, columns) -%}
        {%- set text = cdp.value_of(entry['reads'][0], columns, timezone) -%}
        {%- set name = cdp.fault_field(entry) -%}
        {%- if name not in told -%}
            {%- do faults.extend(cdp.money_faults({name: text}, currency if currency not in told else none,
                cdp.fault_field(entry['reads'][1]) if currency else none, judged={name: judged[currency or ''][text]})) -%}
            {%- do told.extend([name, currency]) -%}
        {%- endif -%}
        {%- if entry['how'] == 'in_base_currency' -%}
            {%- do faults.append({'field': name, 'reason': 'no_rate', 'detail': text, 'when':
                judged[currency][text] ~ " like '% %' and " ~ known[cdp.entry_key(entry)] ~ ' is null'}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for entry in cdp.entries_within(targets) if entry['how'] == 'change_time' -%}
        {%- set text = cdp.time_text_of(entry, columns, timezone) -%}
        {%- do faults.extend(cdp.change_faults(cdp.fault_field(entry), text, received, change=steps['times'][text])) -%}
    {%- endfor -%}
    {%- for each in targets if each['target'] != 'occurred_at' -%}
        {%- set entry = cdp.as_time(each['entry']) if each['target'] == 'received_at' else each['entry'] -%}
        {%- set fault = cdp.fault_of(entry, cdp.value_of(entry, columns, timezone, known),
            cdp.value_of(cdp.source_of(entry), columns, timezone, known)) -%}
        {%- if fault and fault not in faults -%}{%- do faults.append(fault) -%}{%- endif -%}
    {%- endfor -%}
    {%- for each in targets if each['target'] == 'consent' and not cdp.are_states(each['entry']) -%}
        {%- set state = cdp.value_of(each['entry'], columns, timezone, known) -%}
        {%- do faults.append({'field': cdp.fault_field(each['entry']), 'reason': 'unknown_consent', 'detail': state,
            'when': state ~ " not in ('granted', 'denied') and " ~ cdp.says_something(state)}) -%}
    {%- endfor -%}
    {{ cdp.unusable_fields(faults) if faults else 'cast(null as ' ~ dbt.type_string() ~ ')' }}
{%- endmacro %}

{# Whether an entry can say nothing but granted and denied. #}
{% macro are_states(entry) -%}
    {%- set said = [] -%}
    {%- if entry is mapping and entry['how'] == 'constant' -%}{%- do said.append(entry['text']) -%}
    {%- elif entry is mapping and entry['how'] == 'value_map' -%}{%- do said.extend(entry['meanings'].values()) -%}{%- do said.append(entry['default']) -%}
    {%- else -%}{%- do said.append({}) -%}{%- endif -%}
    {{ return(said | reject('in', ['granted', 'denied', '', none]) | list | length == 0) }}
{%- endmacro %}

{# The first field of an entry, as it stands in a fault's JSON. #}
{% macro fault_field(entry) -%}
    {{ return(cdp.path_key(cdp.fields_of(entry)[0]['path'] | join('.')) | replace("'", "''")) }}
{%- endmacro %}
