-- A row of the CRM export is an `identify`. The export is a full snapshot each time: a row equal to
-- its customer's latest earlier version says nothing new. One row per landed row.
{{ mapping(
    'crm', 'customers', type='identify', key='customer_id', snapshot=true, occurred_at='updated_at',
    identifiers={'user_id': 'customer_id', 'email': 'email', 'phone': 'phone'},
    traits={
        'email': 'email',
        'phone': 'phone',
        'first_name': 'first_name',
        'last_name': 'last_name',
        'country': 'country',
        'loyalty_tier': 'loyalty_tier',
        'birth_date': 'birth_date',
    },
    consent={
        'email_marketing': value_map(
            'email_opt_in', {'yes': 'granted', 'no': 'denied'}, default=none,
        ),
    },
) }}
