-- What people did with our e-mails: delivered, opened, clicked, unsubscribed.
-- One row per landed record.
with records as (
    {{ landed(source('email', 'engagement'), [
        'event_id', 'email', 'event', 'campaign', 'occurred_at',
    ]) }}
),

timed as (
    {{ with_times('records', {'occurred_time': 'occurred_at'}) }}
)

select
    {{ record_columns() }},
    {{ keyed_message_id('email', 'engagement', key=['event_id'], cursor="''") }} as message_id,
    'track' as type,
    case event
        when 'delivered' then 'Email Delivered'
        when 'opened' then 'Email Opened'
        when 'clicked' then 'Email Link Clicked'
        when 'unsubscribed' then 'Unsubscribed'
        else event
    end as event_name,
    occurred_at as occurred_text,
    occurred_time as occurred_at,
    occurred_time is null and occurred_at is not null as occurred_is_impossible,
    landed_at as received_at,
    {{ identifiers({'email': 'email'}) }} as identifiers,
    {{ object({'campaign': 'campaign'}) }} as properties,
    -- Unsubscribing withdraws the consent; opening an e-mail gives none.
    {{ consent('false', "event = 'unsubscribed'", 'email_marketing') }} as consent,
    case
        when event_id is null then 'event_id'
        when event is null then 'event'
        when occurred_at is null then 'occurred_at'
    end as missing_field,
    {{ unset(['record_key', 'record_hash', 'traits', 'context', 'previous_id', 'unusable_field']) }}
from timed
