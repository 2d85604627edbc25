{# The Segment spec as messages: identify, track, page, screen, group, alias, and batch envelopes of them.
   Field rules: a source that speaks the spec is one line, `{{ segment_messages(source('web', 'events')) }}`. #}

{% macro segment_fields() -%}
    {{ return({
        'type': ['type'], 'message_id': ['messageId'], 'user_id': ['userId'], 'anonymous_id': ['anonymousId'],
        'previous_id': ['previousId'], 'group_id': ['groupId'], 'event': ['event'], 'name': ['name'], 'category': ['category'],
        'given_time': ['timestamp'], 'original_time': ['originalTimestamp'], 'sent_time': ['sentAt'], 'received_time': ['receivedAt'],
        'batch': ['batch'],
        'document_traits': ['traits'], 'document_properties': ['properties'], 'context': ['context'],
        'traits_email': ['traits', 'email'], 'context_email': ['context', 'traits', 'email'],
        'traits_phone': ['traits', 'phone'], 'context_phone': ['context', 'traits', 'phone'],
        'device_id': ['context', 'device', 'id'], 'device_type': ['context', 'device', 'type'],
        'advertising_id': ['context', 'device', 'advertisingId'], 'may_track': ['context', 'device', 'adTrackingEnabled'],
        'external_ids': ['context', 'externalIds'], 'preferences': ['context', 'consent', 'categoryPreferences'],
    }) }}
{%- endmacro %}

{% macro message_types() -%}
    {{ return(['identify', 'track', 'page', 'screen', 'group', 'alias']) }}
{%- endmacro %}

{# What identifies, or is a name: a text or a number. #}
{% macro segment_words() -%}
    {{ return([
        'message_id', 'user_id', 'anonymous_id', 'previous_id', 'group_id', 'event', 'name', 'category', 'traits_email', 'context_email',
        'traits_phone', 'context_phone', 'device_id', 'advertising_id',
    ]) }}
{%- endmacro %}

{# What is an object or an array where it makes sense. #}
{% macro segment_structures() -%}
    {{ return(['batch', 'document_traits', 'document_properties', 'context', 'external_ids', 'preferences']) }}
{%- endmacro %}

{% macro segment_messages(relation, timezone='UTC', regulation='gdpr') -%}
{%- set source_name = relation.identifier.split('__')[0] -%}
{%- set stream_name = relation.identifier.split('__')[1] -%}
{%- set device = "lower(device_type)" -%}
with records as (
    {{ cdp.landed(relation) }}
),

-- An array of messages makes an envelope of a record, unless the record says that it is a message itself.
marked as (
    select
        *,
        case
            when {{ cdp.holds_array('batch') }} then case
                when {{ cdp.json_text('document', ['type']) }} in ({{ cdp.string_literals(cdp.message_types()) }}) then null
                else batch
            end
        end as envelope
    from (
        select
            *,
            case when {{ dbt.position("'\"batch\"'", 'body') }} > 0 then {{ cdp.json_value('document', ['batch']) }} end as batch
        from records
    ) as batched
),

-- An envelope's own context and times hold for every message in it, unless the message says otherwise.
envelopes as (
    select
        {{ cdp.record_columns() }},
        envelope,
        '{' || {{ cdp.join_parts([
            "'\"context\":' || " ~ cdp.json_value('document', ['context']),
            "'\"sentAt\":' || " ~ cdp.json_value('document', ['sentAt']),
            "'\"receivedAt\":' || " ~ cdp.json_value('document', ['receivedAt']),
        ]) }} || '}' as common
    from marked
    where envelope <> '[]'
),

unfolded as (
    {{ cdp.explode_array(
        'envelopes',
        ['batch_id', 'batch_seq', 'record_no', 'landed_at', 'file', 'read_error', 'payload', 'field_faults', 'common'],
        'envelope'
    ) }}
),

items as (
    select
        {{ cdp.record_columns() }},
        body,
        document,
        cast(null as {{ dbt.type_string() }}) as own_traits,
        cast(null as {{ dbt.type_string() }}) as own_properties
    from marked
    where envelope is null or envelope = '[]'
    union all
    select
        {{ cdp.record_columns() }},
        item_text as body,
        {{ cdp.as_document('item_text') }} as document,
        -- As they were sent: uniting objects leaves out what is null, and a null trait removes a trait.
        {{ cdp.json_value('item_document', ['traits']) }} as own_traits,
        {{ cdp.json_value('item_document', ['properties']) }} as own_properties
    from (
        select
            *,
            {{ cdp.as_document('item') }} as item_document,
            case when {{ cdp.holds_object('item') }} then {{ cdp.json_merge('common', 'item') }} else item end as item_text
        from unfolded
    ) as merged
),

-- A record that is valid JSON but no object has no fields; it is refused for that, not for the fields it lacks.
objects as (
    select
        {{ cdp.record_columns() }},
        case when {{ cdp.holds_object('ltrim(body)') }} then body end as body,
        case when {{ cdp.holds_object('ltrim(body)') }} then document end as document,
        own_traits,
        own_properties
    from items
),

fields as (
    {{ cdp.with_fields(
        'objects', 'document', cdp.segment_fields(), words=cdp.segment_words(), raw=cdp.segment_structures(), faults='unusable_words'
    ) }}
),

given as (
    select
        *,
        coalesce(own_traits, document_traits) as traits,
        coalesce(own_properties, document_properties) as properties,
        -- A blank is no id.
        case when {{ cdp.has_text('message_id') }} then message_id end as own_id,
        -- What tells equal messages apart: without an id and without a time, also the file that they came in.
        case
            when {{ cdp.has_text('given_time') }} or {{ cdp.has_text('original_time') }} then body
            else coalesce(file || '|', '') || body
        end as said
    from fields
),

timed as (
    select
        *,
        -- Equal records without a messageId are told apart by their place among their equals in the file.
        row_number() over (
            partition by batch_seq, file, own_id, case when own_id is null then body end
            order by record_no, item_no
        ) as ordinal,
        coalesce(given_time, original_time) as occurred_text,
        {{ cdp.to_utc('coalesce(given_time, original_time)', timezone) }} as claimed_at,
        {{ cdp.to_utc('sent_time', timezone) }} as sent_at,
        {{ cdp.to_utc('received_time', timezone) }} as received_at
    from given
)

select
    {{ cdp.record_columns() }},
    case
        when own_id is not null then own_id
        when body is not null then {{ cdp.keyless_message_id(source_name, stream_name, 'said', 'ordinal') }}
    end as message_id,
    cast(null as {{ dbt.type_string() }}) as record_key,
    cast(null as {{ dbt.type_string() }}) as record_hash,
    type,
    case when type = 'track' then event when type in ('page', 'screen') then coalesce(name, category) end as event_name,
    occurred_text,
    -- A device's clock may be wrong: what it calls `sent` was really the moment of receipt, less the way.
    case
        when claimed_at is null then coalesce(received_at, landed_at)
        when received_at is not null and sent_at is not null then {{ cdp.moved_by('claimed_at', 'sent_at', 'received_at') }}
        else claimed_at
    end as occurred_at,
    claimed_at is null and occurred_text is not null as occurred_is_impossible,
    coalesce(received_at, landed_at) as received_at,
    {{ cdp.identifiers(
        {
            'user_id': 'user_id',
            'email': ['traits_email', "case when context_email is distinct from traits_email then context_email end"],
            'phone': ['traits_phone', "case when context_phone is distinct from traits_phone then context_phone end"],
            'android_id': "case when " ~ device ~ " = 'android' then device_id end",
            'ios_id': "case when " ~ device ~ " = 'ios' then device_id end",
            'android_idfa': "case when " ~ device ~ " = 'android' and may_track = 'true' then advertising_id end",
            'ios_idfa': "case when " ~ device ~ " = 'ios' and may_track = 'true' then advertising_id end",
            'anonymous_id': 'anonymous_id',
        },
        more=[cdp.external_identifiers('external_ids')],
    ) }} as identifiers,
    case when type = 'identify' and {{ cdp.holds_object('traits') }} then traits end as traits,
    case
        when type = 'group'
            then {{ cdp.json_merge(cdp.object({'group_id': 'group_id'}), "case when " ~ cdp.holds_object('traits') ~ " then traits end") }}
        when {{ cdp.holds_object('properties') }} then properties
    end as properties,
    case when {{ cdp.holds_object('context') }} then context end as context,
    {{ cdp.preferences_as_consents('preferences', regulation) }} as consent,
    case when type = 'alias' then previous_id end as previous_id,
    case
        when body is null then null
        when type is null and batch = '[]' then 'batch'
        when coalesce(type, '') = '' then 'type'
        when type = 'track' and not coalesce({{ cdp.has_text('event') }}, false) then 'event'
        when type = 'alias' and not coalesce({{ cdp.has_text('previous_id') }}, false) then 'previousId'
        when type = 'group' and not coalesce({{ cdp.has_text('group_id') }}, false) then 'groupId'
    end as missing_field,
    {{ cdp.unusable_fields([
        {'field': 'sentAt', 'reason': 'impossible_timestamp', 'when': 'sent_at is null and sent_time is not null',
         'detail': 'sent_time'},
        {'field': 'receivedAt', 'reason': 'impossible_timestamp', 'when': 'received_at is null and received_time is not null',
         'detail': 'received_time'},
        {'field': 'traits', 'reason': 'not_an_object', 'when': "not (" ~ cdp.holds_object('traits') ~ ")", 'detail': 'traits'},
        {'field': 'properties', 'reason': 'not_an_object', 'when': "not (" ~ cdp.holds_object('properties') ~ ")", 'detail': 'properties'},
        {'field': 'context', 'reason': 'not_an_object', 'when': "not (" ~ cdp.holds_object('context') ~ ")", 'detail': 'context'},
        {'field': 'context.externalIds', 'reason': 'not_a_text_or_number', 'when': cdp.unreadable_externals('external_ids'),
         'detail': 'external_ids'},
        {'field': 'context.consent.categoryPreferences', 'reason': 'not_an_object',
         'when': "not (" ~ cdp.holds_object('preferences') ~ ")", 'detail': 'preferences'},
    ], more=['unusable_words']) }} as unusable_field
from timed
{%- endmacro %}
