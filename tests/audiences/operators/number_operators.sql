-- Who meets each operator on a number. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'equals 3': condition('given.amount', 'equals', 3, type='number'),
    'not_equals 3': condition('given.amount', 'not_equals', 3, type='number'),
    'not_equals 3, of the known': condition('given.amount', 'not_equals', 3, type='number', missing_matches_negative=false),
    '< 3': condition('given.amount', '<', 3, type='number'),
    '<= 3': condition('given.amount', '<=', 3, type='number'),
    '> 3': condition('given.amount', '>', 3, type='number'),
    '>= 3': condition('given.amount', '>=', 3, type='number'),
    'Greater Than 3, in words': condition('given.amount', 'Greater Than', 3, type='number'),
    'between 0 and 3': condition('given.amount', 'between', (0, 3), type='number'),
    'not_between 0 and 3': condition('given.amount', 'not_between', (0, 3), type='number'),
    'in 0, 3': condition('given.amount', 'in', [0, 3], type='number'),
    'not_in 0, 3': condition('given.amount', 'not_in', [0, 3], type='number'),
    'exists': condition('given.amount', 'exists', type='number'),
    'not_exists': condition('given.amount', 'not_exists', type='number'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
