-- Who did what each helper says. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'performed': performed('Product Added'),
    'not performed': 'not ' ~ performed('Product Added'),
    'performed times >= 2': performed('Product Added', times=('>=', 2)),
    'performed times < 1': performed('Product Added', times=('<', 1)),
    'performed times = 0, all time': performed('Product Added', times=('=', 0), all_time=true),
    'performed of a page': performed('Product Added', type='page'),
    'performed where price > 100': performed('Product Added', where=[('price', '>', 100)]),
    'performed where price not_exists, all time': performed('Product Added', where=[('price', 'not_exists')], all_time=true),
    'performed last_hours 26': performed('Product Added', last_hours=26),
    'performed last_hours 27': performed('Product Added', last_hours=27),
    'performed between 30 and 90 days ago': performed('Product Added', between_days=(30, 90)),
    'performed since 2026-10-21': performed('Product Added', since='2026-10-21'),
    'performed all time': performed('Product Added', all_time=true),
    'first_performed before 2026-10-03': first_performed('Product Added', 'before', '2026-10-03'),
    'first_performed after 2026-10-20, over 100': first_performed('Product Added', 'after', '2026-10-20', where=[('price', '>', 100)]),
    'last_performed within_last 7': last_performed('Product Added', 'within_last', 7),
    'last_performed not_within_last 7': last_performed('Product Added', 'not_within_last', 7),
    'last_performed not_within_last 7, of the known': last_performed('Product Added', 'not_within_last', 7, missing_matches_negative=false),
    'last_performed not_exists': last_performed('Product Added', 'not_exists'),
    'property_aggregate sum >= 200': property_aggregate('Product Added', 'price', 'sum', '>=', 200),
    'property_aggregate max < 100': property_aggregate('Product Added', 'price', 'max', '<', 100),
    'property_aggregate count = 0': property_aggregate('Product Added', 'price', 'count', '=', 0),
    'property_aggregate unique_count >= 2': property_aggregate('Product Added', 'destination', 'unique_count', '>=', 2),
    'performed_sequence': performed_sequence(['Product Added', 'Order Completed']),
    'performed_sequence the other way round': performed_sequence(['Order Completed', 'Product Added']),
    'performed_sequence within_hours 1': performed_sequence(['Product Added', 'Order Completed'], within_hours=1),
    'performed_sequence strict': performed_sequence(['Product Viewed', 'Product Added'], strict=true),
    'same_property destination': same_property('Product Viewed', 'Product Added', 'destination'),
    'same_property destination, in order': same_property('Product Added', 'Order Completed', 'destination', in_order=true),
    'abandoned': abandoned('Product Added', 'Order Completed', within_days=30),
    'abandoned, waits_hours 264': abandoned('Product Added', 'Order Completed', waits_hours=264, within_days=30),
    'abandoned, waits_hours 265': abandoned('Product Added', 'Order Completed', waits_hours=265, within_days=30),
} %}

{{ who_meets(conditions, ref('profiles'), 'people') }}
