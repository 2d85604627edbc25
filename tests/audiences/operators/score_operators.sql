-- Who has which attributes, and where they stand. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'attribute >= 100': attribute('lifetime_value', 'lifetime_value_usd', '>=', 100),
    'attribute not_equals 100': attribute('lifetime_value', 'lifetime_value_usd', 'not_equals', 100),
    'attribute not_equals 100, of the known': attribute('lifetime_value', 'lifetime_value_usd', 'not_equals', 100, missing_matches_negative=false),
    'attribute < 2, missing is 0': attribute('order_count', 'order_count', '<', 2, missing=0),
    'attribute < 2': attribute('order_count', 'order_count', '<', 2),
    'attribute exists': attribute('lifetime_value', 'lifetime_value_usd', 'exists', type='number'),
    'attribute not_exists': attribute('lifetime_value', 'lifetime_value_usd', 'not_exists', type='number'),
    'percentile_of > 0.33': percentile_of('lifetime_value', 'lifetime_value_usd', '>', 0.33),
    'percentile_of >= 1': percentile_of('lifetime_value', 'lifetime_value_usd', '>=', 1),
    'percentile_of < 0.34': percentile_of('lifetime_value', 'lifetime_value_usd', '<', 0.34),
    'trait equals It': trait('country', 'equals', 'It'),
    'trait not_equals It': trait('country', 'not_equals', 'It'),
} %}

{{ who_meets(conditions, ref('profiles'), 'people') }}
