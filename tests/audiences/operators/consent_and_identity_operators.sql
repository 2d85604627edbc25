-- Who consents, and who has which identifiers. One row per condition.
{{ config(materialized='view') }}

{% set conditions = {
    'has_consent granted': has_consent('gdpr', 'email_marketing'),
    'has_consent denied': has_consent('gdpr', 'email_marketing', 'denied'),
    'has_consent missing': has_consent('gdpr', 'email_marketing', 'missing'),
    'has_identifier email': has_identifier('email'),
    'not has_identifier email': 'not ' ~ has_identifier('email'),
    'has_identifier ends_with @SHOP.EXAMPLE': has_identifier('email', 'ends_with', '@SHOP.EXAMPLE'),
    'has_identifier equals, case_sensitive': has_identifier('email', 'equals', 'jo@shop.example', case_sensitive=true),
    'has_device': has_device(),
    'has_device ios': has_device('ios'),
    'not has_device android': 'not ' ~ has_device('android'),
} %}

{{ who_meets(conditions, ref('profiles'), 'people') }}
