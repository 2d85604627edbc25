-- Who meets each operator on a list. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'includes red': condition('given.items', 'includes', 'red', type='list'),
    'includes Red, case_sensitive': condition('given.items', 'includes', 'Red', type='list', case_sensitive=true),
    'not_includes red': condition('given.items', 'not_includes', 'red', type='list'),
    'not_includes red, of the known': condition('given.items', 'not_includes', 'red', type='list', missing_matches_negative=false),
    'partial_match RED': condition('given.items', 'partial_match', 'RED', type='list'),
    'not_partial_match RED': condition('given.items', 'not_partial_match', 'RED', type='list'),
    'intersects BLUE, reddish': condition('given.items', 'intersects', ['BLUE', 'reddish'], type='list'),
    'not_intersects BLUE, reddish': condition('given.items', 'not_intersects', ['BLUE', 'reddish'], type='list'),
    'contains_all red, 3': condition('given.items', 'contains_all', ['red', 3], type='list'),
    'size >= 3': condition('given.items', 'size', ('>=', 3), type='list'),
    'size = 0': condition('given.items', 'size', ('=', 0), type='list'),
    'is_empty': condition('given.items', 'is_empty', type='list'),
    'exists': condition('given.items', 'exists', type='list'),
    'not_exists': condition('given.items', 'not_exists', type='list'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
