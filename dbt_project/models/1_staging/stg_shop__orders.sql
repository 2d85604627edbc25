-- An order of the shop is a `track` named Order Completed. One row per landed version of an order.
{{ mapping(
    'shop', 'orders', type='track', event='Order Completed',
    key='order_id', cursor='updated_at', occurred_at='ordered_at',
    identifiers={
        'user_id': 'customer_id',
        'email': 'email',
        'phone': 'phone',
        'anonymous_id': 'anonymous_id',
    },
    properties={
        'order_id': 'order_id',
        'destination': 'destination',
        'currency': 'currency',
        'status': 'status',
        'updated_at': change_time('updated_at'),
        'total': money('amount', currency='currency'),
    },
    required=['ordered_at', 'amount'],
) }}
