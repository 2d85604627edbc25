-- Who meets each operator on a text. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'equals rome': condition('given.words', 'equals', 'rome', type='text'),
    'equals rome, case_sensitive': condition('given.words', 'equals', 'rome', type='text', case_sensitive=true),
    'not_equals rome': condition('given.words', 'not_equals', 'rome', type='text'),
    'not_equals rome, of the known': condition('given.words', 'not_equals', 'rome', type='text', missing_matches_negative=false),
    'in rome, città': condition('given.words', 'in', ['rome', 'città'], type='text'),
    'in rome, città, case_sensitive': condition('given.words', 'in', ['rome', 'città'], type='text', case_sensitive=true),
    'not_in rome, città': condition('given.words', 'not_in', ['rome', 'città'], type='text'),
    'contains ROM': condition('given.words', 'contains', 'ROM', type='text'),
    'contains %': condition('given.words', 'contains', '%', type='text'),
    'not_contains rom': condition('given.words', 'not_contains', 'rom', type='text'),
    'starts_with RO': condition('given.words', 'starts_with', 'RO', type='text'),
    'not_starts_with RO': condition('given.words', 'not_starts_with', 'RO', type='text'),
    'ends_with ME': condition('given.words', 'ends_with', 'ME', type='text'),
    'not_ends_with ME': condition('given.words', 'not_ends_with', 'ME', type='text'),
    'pattern RO?E': condition('given.words', 'pattern', 'RO?E', type='text'),
    'pattern *rome*': condition('given.words', 'pattern', '*rome*', type='text'),
    'not_pattern *rome*': condition('given.words', 'not_pattern', '*rome*', type='text'),
    'regex ^R.*E$': condition('given.words', 'regex', '^R.*E$', type='text'),
    'not_regex ^R.*E$': condition('given.words', 'not_regex', '^R.*E$', type='text'),
    'exists': condition('given.words', 'exists', type='text'),
    'not_exists': condition('given.words', 'not_exists', type='text'),
    'is_empty': condition('given.words', 'is_empty', type='text'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
