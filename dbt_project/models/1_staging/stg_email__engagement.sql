-- What people did with our e-mails: delivered, opened, clicked, unsubscribed. Unsubscribing
-- withdraws the consent; opening an e-mail gives none. One row per landed record.
{{ mapping(
    'email', 'engagement', type='track', key='event_id', occurred_at='occurred_at',
    event=value_map('event', {
        'delivered': 'Email Delivered',
        'opened': 'Email Opened',
        'clicked': 'Email Link Clicked',
        'unsubscribed': 'Unsubscribed',
    }),
    identifiers={'email': 'email'},
    properties={'campaign': 'campaign'},
    consent={
        'email_marketing': value_map('event', {'unsubscribed': 'denied'}, default=none),
    },
    required=['event', 'occurred_at'],
) }}
