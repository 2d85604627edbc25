-- A refund of the shop is a `track` named Order Refunded. One row per landed version of a refund.
{{ mapping(
    'shop', 'refunds', type='track', event='Order Refunded',
    key='refund_id', cursor='updated_at', occurred_at='refunded_at',
    identifiers={'user_id': 'customer_id', 'email': 'email'},
    properties={
        'order_id': 'order_id',
        'refund_id': 'refund_id',
        'updated_at': change_time('updated_at'),
        'total': money('amount'),
    },
    required=['refunded_at', 'amount'],
) }}
