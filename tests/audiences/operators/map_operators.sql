-- Who meets operators of each type at a path of a map. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'exists': condition('given.details', 'exists', type='map'),
    'not_exists': condition('given.details', 'not_exists', type='map'),
    'city exists': condition('given.details', 'exists', path='city'),
    'city not_exists': condition('given.details', 'not_exists', path='city'),
    'city equals rome': condition('given.details', 'equals', 'rome', path='city'),
    'city equals Rome, case_sensitive': condition('given.details', 'equals', 'Rome', path='city', case_sensitive=true),
    'city not_equals rome': condition('given.details', 'not_equals', 'rome', path='city'),
    'city not_equals rome, of the known': condition('given.details', 'not_equals', 'rome', path='city', missing_matches_negative=false),
    'city starts_with RO': condition('given.details', 'starts_with', 'RO', path='city'),
    'n.of >= 7': condition('given.details', '>=', 7, path='n.of'),
    'n.of > 7': condition('given.details', '>', 7, path='n.of'),
    'n.at before 2026-11-01': condition('given.details', 'before', '2026-11-01', path='n.at'),
    'n.at not_within_last 2': condition('given.details', 'not_within_last', 2, path='n.at'),
    'n.ok is_true': condition('given.details', 'is_true', path='n.ok'),
    'n.tags includes red': condition('given.details', 'includes', 'red', path='n.tags'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
