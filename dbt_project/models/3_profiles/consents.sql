-- What each person allows now: the latest word on a purpose counts; of two at the same moment, the
-- denial. One row per (profile, regulation, purpose).
{{ stated_consents() }}
