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
        'context_traits': ['context', 'traits'],
        'total': ['properties', 'total'], 'revenue': ['properties', 'revenue'], 'order_value': ['properties', 'value'],
        'currency': ['properties', 'currency'], 'updated_time': ['properties', 'updated_at'],
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
    {{ return(['batch', 'document_traits', 'document_properties', 'context', 'context_traits', 'external_ids', 'preferences']) }}
{%- endmacro %}

{# Of what events money and a time of change are read. #}
{% macro is_of_an_order() -%}
    type = 'track' and event in ('Order Completed', 'Order Refunded')
{%- endmacro %}

{# The same of a message: its staging model has judged the amounts. #}
{% macro amounts_are_judged() -%}
    type = 'track' and event_name in ('Order Completed', 'Order Refunded')
{%- endmacro %}

{# The fields that hold them. #}
{% macro judged_amounts() -%}
    {{ return(['properties.total', 'properties.revenue', 'properties.value']) }}
{%- endmacro %}

{# What an order or a refund cannot say: an amount that is no money, a time of change that is no time. #}
{% macro order_faults() -%}
    {%- set told = cdp.is_of_an_order() ~ ' and ' -%}
    {{ return(
        cdp.money_faults({'properties.total': 'total', 'properties.revenue': 'revenue', 'properties.value': 'order_value'},
            'currency', 'properties.currency', told, judged={'properties.total': 'total_money',
            'properties.revenue': 'revenue_money', 'properties.value': 'value_money'})
        + cdp.change_faults('properties.updated_at', 'updated_time', 'coalesce(received_at, landed_at)', told, 'updated_at')
    ) }}
{%- endmacro %}

{# What the landed records of a relation hold: envelopes unfolded. One row per message. #}
{% macro segment_items(relation) -%}
{%- set marked -%}
(
    select
        *,
        -- An array of messages makes an envelope of a record, unless the record says that it is a message itself.
        case
            when {{ cdp.holds_array('batch') }}
                and not coalesce({{ cdp.matches_pattern(cdp.json_text('document', ['type']), '^(' ~ cdp.message_types() | join('|') ~ ')$') }}, false)
                then batch
        end as envelope
    from (
        select
            *,
            -- (A search that begins with the quotation mark would stop at every one.)
            case when {{ dbt.position("'batch\"'", 'body') }} > 0 then {{ cdp.json_value('document', ['batch']) }} end as batch
        from (
            {{ cdp.landed(relation) }}
        ) as records
    ) as batched
)
{%- endset -%}
{#- An envelope's own context and times hold for every message in it, unless the message says otherwise. -#}
{%- set envelopes -%}
(
    select
        {{ cdp.record_columns() }},
        envelope,
        '{' || {{ cdp.join_parts([
            "'\"context\":' || " ~ cdp.json_value('document', ['context']),
            "'\"sentAt\":' || " ~ cdp.json_value('document', ['sentAt']),
            "'\"receivedAt\":' || " ~ cdp.json_value('document', ['receivedAt']),
        ]) }} || '}' as common
    from {{ marked }} as marked
    where envelope <> '[]'
)
{%- endset -%}
select
    {{ cdp.record_columns() }},
    body,
    document,
    cast(null as {{ dbt.type_string() }}) as own_traits,
    cast(null as {{ dbt.type_string() }}) as own_properties
from {{ marked }} as marked
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
    from (
        {{ cdp.explode_array(
            envelopes,
            ['batch_id', 'batch_seq', 'record_no', 'landed_at', 'file', 'read_error', 'payload', 'field_faults', 'common'],
            'envelope'
        ) }}
    ) as unfolded
) as merged
{%- endmacro %}

{% macro segment_messages(relation, timezone='UTC', regulation='gdpr') -%}
{%- set device = "lower(device_type)" -%}
-- A record that is valid JSON but no object has no fields; it is refused for that, not for the fields it lacks.
with objects as (
    select
        {{ cdp.record_columns() }},
        case when {{ cdp.holds_object('ltrim(body)') }} then body end as body,
        case when {{ cdp.holds_object('ltrim(body)') }} then document end as document,
        own_traits,
        own_properties
    from (
        {{ cdp.segment_items(relation) }}
    ) as items
),

fields as (
    {{ cdp.with_fields(
        'objects', 'document', cdp.segment_fields(), words=cdp.segment_words(), raw=cdp.segment_structures(), faults='unusable_words'
    ) }}
),

timed as (
    {{ cdp.with_times(
        'fields',
        {
            'given_at': 'given_time', 'original_at': 'original_time', 'sent_at': 'sent_time', 'received_at': 'received_time',
            'updated_at': 'case when ' ~ cdp.is_of_an_order() ~ ' then updated_time end',
        },
        timezone,
    ) }}
),

judged as (
    {{ cdp.with_judged_money(
        'timed', {'total_money': 'total', 'revenue_money': 'revenue', 'value_money': 'order_value'}, 'currency', cdp.is_of_an_order()
    ) }}
),

given as (
    select
        *,
        coalesce(own_traits, document_traits) as traits,
        coalesce(own_properties, document_properties) as properties,
        -- A blank is no id.
        case when {{ cdp.has_text('message_id') }} then message_id end as own_id,
        case when given_at is not null or {{ cdp.says_something('given_time') }} then given_time end as given_text,
        case when original_at is not null or {{ cdp.says_something('original_time') }} then original_time end as original_text
    from judged
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
    from given
)

select
    {{ cdp.record_columns() }},
    own_id as message_id,
    cast(null as {{ dbt.type_string() }}) as record_key,
    -- A record without an id is known by what it says; without a time, by its file, too.
    case
        when own_id is not null then null
        when {{ cdp.has_text('given_time') }} or {{ cdp.has_text('original_time') }} then body
        else coalesce(file || '|', '') || body
    end as record_hash,
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
        {'field': 'timestamp', 'reason': 'impossible_timestamp',
         'when': 'given_at is null and given_text is not null and original_at is not null', 'detail': 'given_time'},
        {'field': 'originalTimestamp', 'reason': 'impossible_timestamp',
         'when': 'original_at is null and original_text is not null and given_at is not null', 'detail': 'original_time'},
        {'field': 'sentAt', 'reason': 'impossible_timestamp',
         'when': 'sent_at is null and ' ~ cdp.says_something('sent_time'), 'detail': 'sent_time'},
        {'field': 'receivedAt', 'reason': 'impossible_timestamp',
         'when': 'received_at is null and ' ~ cdp.says_something('received_time'), 'detail': 'received_time'},
        {'field': 'traits', 'reason': 'not_an_object', 'when': "not (" ~ cdp.holds_object('traits') ~ ")", 'detail': 'traits'},
        {'field': 'context.traits', 'reason': 'not_an_object',
         'when': "type = 'identify' and not (" ~ cdp.holds_object('context_traits') ~ ")", 'detail': 'context_traits'},
        {'field': 'properties', 'reason': 'not_an_object', 'when': "not (" ~ cdp.holds_object('properties') ~ ")", 'detail': 'properties'},
        {'field': 'context', 'reason': 'not_an_object', 'when': "not (" ~ cdp.holds_object('context') ~ ")", 'detail': 'context'},
        {'field': 'context.externalIds', 'reason': 'not_a_text_or_number', 'when': cdp.unreadable_externals('external_ids'),
         'detail': 'external_ids'},
        {'field': 'context.consent.categoryPreferences', 'reason': 'not_an_object',
         'when': "not (" ~ cdp.holds_object('preferences') ~ ")", 'detail': 'preferences'},
    ] + cdp.order_faults(), more=['unusable_words']) }} as unusable_field
from corrected
{%- endmacro %}
