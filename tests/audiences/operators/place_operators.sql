-- Who is near a place, or in a region. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'within_km 1 of Rome': within_km('given.lat', 'given.lon', 41.9028, 12.4964, 1),
    'within_km 470 of Rome': within_km('given.lat', 'given.lon', 41.9028, 12.4964, 470),
    'within_km 480 of Rome': within_km('given.lat', 'given.lon', 41.9028, 12.4964, 480),
    'within_km 20 over the date line': within_km('given.lat', 'given.lon', -16.8, -179.95, 20),
    'not within_km 480 of Rome': 'not ' ~ within_km('given.lat', 'given.lon', 41.9028, 12.4964, 480),
    'region equals lombardia': condition('given.words', 'equals', 'lombardia', type='text'),
} %}

{{ who_meets(conditions, ref('given_values'), 'given') }}
