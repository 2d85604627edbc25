-- Who is in other audiences, entered or left them. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'member_of vips': member_of('vips'),
    'excluding vips': excluding('vips'),
    'entered_within 7 days': entered_within('vips', days=7),
    'entered_within 169 hours': entered_within('vips', hours=169),
    'exited_within 1 hour': exited_within('vips', hours=1),
    'member_of and excluding': member_of('vips') ~ ' and not ' ~ entered_within('vips', days=7),
} %}

{{ who_meets(conditions, ref('profiles'), 'people') }}
