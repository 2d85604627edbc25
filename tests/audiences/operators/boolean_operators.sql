-- Who meets each operator on a boolean. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'is_true': condition('given.flag', 'is_true', type='boolean'),
    'Is True, in words': condition('given.flag', 'Is True', type='boolean'),
    'is_false': condition('given.flag', 'is_false', type='boolean'),
    'equals false': condition('given.flag', 'equals', false, type='boolean'),
    'not_equals false': condition('given.flag', 'not_equals', false, type='boolean'),
    'not_equals false, of the known': condition('given.flag', 'not_equals', false, type='boolean', missing_matches_negative=false),
    'exists': condition('given.flag', 'exists', type='boolean'),
    'not_exists': condition('given.flag', 'not_exists', type='boolean'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
