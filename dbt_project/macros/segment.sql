{# The Segment spec as messages: identify, track, page, screen, group, alias, and batch envelopes of them.
   Field rules: a source that speaks the spec is one line, `{{ segment_messages(source('web', 'events')) }}`. #}

{% macro segment_fields() -%}
    {{ return({
        'type': ['type'], 'message_id': ['messageId'], 'user_id': ['userId'], 'anonymous_id': ['anonymousId'],
        'previous_id': ['previousId'], 'group_id': ['groupId'], 'event': ['event'], 'name': ['name'], 'category': ['category'],
        'given_time': ['timestamp'], 'original_time': ['originalTimestamp'], 'sent_time': ['sentAt'], 'received_time': ['receivedAt'],
        'document_traits': ['traits'], 'document_properties': ['properties'], 'context': ['context'],
        'traits_email': ['traits', 'email'], 'context_email': ['context', 'traits', 'email'],
        'traits_phone': ['traits', 'phone'], 'context_phone': ['context', 'traits', 'phone'],
        'device_id': ['context', 'device', 'id'], 'device_type': ['context', 'device', 'type'],
        'advertising_id': ['context', 'device', 'advertisingId'], 'may_track': ['context', 'device', 'adTrackingEnabled'],
        'context_traits': ['context', 'traits'],
        'total': ['properties', 'total'], 'revenue': ['properties', 'revenue'], 'order_value': ['properties', 'value'],
        'currency': ['properties', 'currency'], 'updated_time': ['properties', 'updated_at'],
        'external_ids': ['context', 'externalIds'], 'preferences': ['context', 'consent', 'categoryPreferences'],
    }) }}
{%- endmacro %}

{# What an order or a refund cannot say: an amount that is no money, a time of change that is no time. #}
{% macro order_faults() -%}
    {%- set told = "type = 'track' and event in ('Order Completed', 'Order Refunded') and " -%}
    {{ return(
        cdp.money_faults({'properties.total': 'total', 'properties.revenue': 'revenue', 'properties.value': 'order_value'},
            'currency', 'properties.currency', told)
        + cdp.change_faults('properties.updated_at', 'updated_time', 'coalesce(received_at, landed_at)', told)
    ) }}
{%- endmacro %}

{% macro segment_messages(relation, timezone='UTC', regulation='gdpr') -%}
{%- set source_name = relation.identifier.split('__')[0] -%}
{%- set stream_name = relation.identifier.split('__')[1] -%}
{%- set device = "lower(device_type)" -%}
with records as (
    {{ cdp.landed(relation) }}
),

marked as (
    select
        *,
        case when {{ dbt.position("'\"batch\"'", 'body') }} > 0 then {{ cdp.json_text('document', ['batch']) }} end as envelope
    from records
),

-- An envelope's own context and times hold for every message in it, unless the message says otherwise.
envelopes as (
    select
        {{ cdp.record_columns() }},
        envelope,
        '{' || {{ cdp.join_parts([
            "'\"context\":' || " ~ cdp.json_text('document', ['context']),
            "'\"sentAt\":' || " ~ cdp.json_quote(cdp.json_text('document', ['sentAt'])),
            "'\"receivedAt\":' || " ~ cdp.json_quote(cdp.json_text('document', ['receivedAt'])),
        ]) }} || '}' as common
    from marked
    where {{ cdp.json_kind('envelope') }} = 'array'
),

unfolded as (
    {{ cdp.explode_array(
        'envelopes', ['batch_id', 'batch_seq', 'record_no', 'landed_at', 'file', 'read_error', 'payload', 'common'], 'envelope'
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
    where envelope is null or {{ cdp.json_kind('envelope') }} <> 'array' or envelope = '[]'
    union all
    select
        {{ cdp.record_columns() }},
        item_text as body,
        {{ cdp.as_document('item_text') }} as document,
        -- As they were sent: uniting objects leaves out what is null, and a null trait removes a trait.
        {{ cdp.json_text('item_document', ['traits']) }} as own_traits,
        {{ cdp.json_text('item_document', ['properties']) }} as own_properties
    from (
        select
            *,
            {{ cdp.as_document('item') }} as item_document,
            case when {{ cdp.json_kind('item') }} = 'object' then {{ cdp.json_merge('common', 'item') }} else item end as item_text
        from unfolded
    ) as merged
),

-- A record that is valid JSON but no object has no fields; it is refused for that, not for the fields it lacks.
objects as (
    select
        {{ cdp.record_columns() }},
        case when ltrim(body) like '{' || '%' then body end as body,
        case when ltrim(body) like '{' || '%' then document end as document,
        own_traits,
        own_properties
    from items
),

fields as (
    {{ cdp.with_json_fields('objects', 'document', cdp.segment_fields()) }}
),

given as (
    select
        *,
        coalesce(own_traits, document_traits) as traits,
        coalesce(own_properties, document_properties) as properties
    from fields
),

timed as (
    select
        *,
        -- Equal records without a messageId are told apart by their place among their equals in the file.
        row_number() over (
            partition by batch_seq, file, message_id, case when trim(message_id) <> '' then null else body end
            order by record_no, item_no
        ) as ordinal,
        {{ cdp.json_kind('traits') }} as traits_kind,
        {{ cdp.json_kind('properties') }} as properties_kind,
        {{ cdp.json_kind('context') }} as context_kind,
        {{ cdp.json_kind('context_traits') }} as context_traits_kind,
        {{ cdp.not_blank('given_time') }} as given_text,
        {{ cdp.not_blank('original_time') }} as original_text,
        {{ cdp.to_utc('given_time', timezone) }} as given_at,
        {{ cdp.to_utc('original_time', timezone) }} as original_at,
        {{ cdp.to_utc('sent_time', timezone) }} as sent_at,
        {{ cdp.to_utc('received_time', timezone) }} as received_at
    from given
),

-- A device's clock may be wrong: what it calls `sent` was really the moment of receipt, less the way. Where
-- originalTimestamp is there, that is what the device said, and `timestamp` was corrected already.
corrected as (
    select
        *,
        coalesce(given_text, original_text) as occurred_text,
        coalesce(given_at, original_at) as claimed_at,
        case
            when given_at is not null and original_text is not null then given_at
            when sent_at is not null and received_at is not null
                then {{ cdp.moved_by('coalesce(given_at, original_at)', 'sent_at', 'received_at') }}
            else coalesce(given_at, original_at)
        end as corrected_at
    from timed
)

select
    {{ cdp.record_columns() }},
    case
        when trim(message_id) <> '' then message_id
        when body is not null then {{ cdp.keyless_message_id(source_name, stream_name, 'body', 'ordinal') }}
    end as message_id,
    cast(null as {{ dbt.type_string() }}) as record_key,
    cast(null as {{ dbt.type_string() }}) as record_hash,
    type,
    case when type = 'track' then event when type in ('page', 'screen') then coalesce(name, category) end as event_name,
    occurred_text,
    case when {{ cdp.is_possible_year('corrected_at') }} then corrected_at else coalesce(received_at, landed_at) end as occurred_at,
    occurred_text is not null and (claimed_at is null or not ({{ cdp.is_possible_year('corrected_at') }})) as occurred_is_impossible,
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
    case when type = 'identify' and traits_kind = 'object' then traits end as traits,
    case
        when type = 'group'
            then {{ cdp.json_merge(cdp.object({'group_id': 'group_id'}), "case when traits_kind = 'object' then traits end") }}
        when properties_kind = 'object' then properties
    end as properties,
    case when context_kind = 'object' then context end as context,
    {{ cdp.preferences_as_consents('preferences', regulation) }} as consent,
    case when type = 'alias' then previous_id end as previous_id,
    case
        when body is null then null
        when coalesce(type, '') = '' then 'type'
        when type = 'track' and coalesce(trim(event), '') = '' then 'event'
        when type = 'alias' and coalesce(trim(previous_id), '') = '' then 'previousId'
        when type = 'group' and coalesce(trim(group_id), '') = '' then 'groupId'
    end as missing_field,
    {{ cdp.unusable_fields([
        {'field': 'timestamp', 'reason': 'impossible_timestamp',
         'when': 'given_at is null and given_text is not null and original_at is not null', 'detail': 'given_time'},
        {'field': 'originalTimestamp', 'reason': 'impossible_timestamp',
         'when': 'original_at is null and original_text is not null and given_at is not null', 'detail': 'original_time'},
        {'field': 'sentAt', 'reason': 'impossible_timestamp',
         'when': 'sent_at is null and ' ~ cdp.not_blank('sent_time') ~ ' is not null', 'detail': 'sent_time'},
        {'field': 'receivedAt', 'reason': 'impossible_timestamp',
         'when': 'received_at is null and ' ~ cdp.not_blank('received_time') ~ ' is not null', 'detail': 'received_time'},
        {'field': 'context.traits', 'reason': 'not_an_object',
         'when': "type = 'identify' and context_traits is not null and coalesce(context_traits_kind, '') <> 'object'"},
        {'field': 'traits', 'reason': 'not_an_object',
         'when': "traits is not null and coalesce(traits_kind, '') <> 'object'"},
        {'field': 'properties', 'reason': 'not_an_object',
         'when': "properties is not null and coalesce(properties_kind, '') <> 'object'"},
        {'field': 'context', 'reason': 'not_an_object',
         'when': "context is not null and coalesce(context_kind, '') <> 'object'"},
    ] + cdp.order_faults()) }} as unusable_field
from corrected
{%- endmacro %}
