-- Who meets each operator on a date or a moment. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'before 2026-10-01': condition('given.moment', 'before', '2026-10-01', type='timestamp'),
    'on_or_before 2026-10-01': condition('given.moment', 'on_or_before', '2026-10-01', type='timestamp'),
    'after 2026-10-01': condition('given.moment', 'after', '2026-10-01', type='timestamp'),
    'on_or_after 2026-10-01': condition('given.moment', 'on_or_after', '2026-10-01', type='timestamp'),
    'on 2026-10-01': condition('given.moment', 'on', '2026-10-01', type='timestamp'),
    'not_on 2026-10-01': condition('given.moment', 'not_on', '2026-10-01', type='timestamp'),
    'between 2026-10-01 and 2026-10-02': condition('given.moment', 'between', ('2026-10-01', '2026-10-02'), type='timestamp'),
    'not_between 2026-10-01 and 2026-10-02': condition('given.moment', 'not_between', ('2026-10-01', '2026-10-02'), type='timestamp'),
    'within_last 7': condition('given.moment', 'within_last', 7, type='timestamp'),
    'Within Last 7, in words': condition('given.moment', 'Within Last', 7, type='timestamp'),
    'not_within_last 7': condition('given.moment', 'not_within_last', 7, type='timestamp'),
    'not_within_last 7, of the known': condition('given.moment', 'not_within_last', 7, type='timestamp', missing_matches_negative=false),
    'within_next 7': condition('given.moment', 'within_next', 7, type='timestamp'),
    'not_within_next 7': condition('given.moment', 'not_within_next', 7, type='timestamp'),
    'before_last 7': condition('given.moment', 'before_last', 7, type='timestamp'),
    'after_next 7': condition('given.moment', 'after_next', 7, type='timestamp'),
    'anniversary': condition('given.moment', 'anniversary', type='timestamp'),
    'anniversary 6': condition('given.moment', 'anniversary', 6, type='timestamp'),
    'exists': condition('given.moment', 'exists', type='timestamp'),
    'not_exists': condition('given.moment', 'not_exists', type='timestamp'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
