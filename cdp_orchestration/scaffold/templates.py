"""What `cdp new` writes: small, complete, and in order as it is; a person then says what is meant.

`[[name]]` and its like are filled in; Jinja's braces are dbt's.
"""

ATTRIBUTE_SQL = """\
-- How many orders a person completed in the last 30 days. One row per person who ever completed one.
{{ count_of('Order Completed', last_days=30) }}
"""
ATTRIBUTE_YML = """\
version: 2

models:
  - name: [[name]]
    description: >-
      How many orders a person completed in the last 30 days. One row per person who ever completed one.
    config:
      contract: {enforced: true}
    data_tests:
      - is_attribute:
          arguments:
            never_null: [[[name]]]
    columns:
      - name: profile_id
        data_type: text
        description: The person.
      - name: [[name]]
        data_type: bigint
        description: Orders.
"""

AUDIENCE_SQL = """\
-- People whose user id, e-mail address or phone number we know. One row per member.
select profile_id
from {{ ref('profiles') }}
where is_known
"""
AUDIENCE_YML = """\
version: 2

models:
  - name: [[name]]
    description: >-
      People whose user id, e-mail address or phone number we know. One row per member.
    config:
      contract: {enforced: true}
    data_tests:
      - is_audience
    columns:
      - name: profile_id
        data_type: text
        description: A member.
"""

SYNC_SQL = """\
-- What [[destination]] should hold about [[audience]].
-- One row per member with consent to e-mail marketing.
select
    members.profile_id as row_key,
    members.profile_id,
    people.email,
    granted.message_id as consent_message_id
from {{ ref('[[audience]]') }} as members
inner join {{ ref('profiles') }} as people on people.profile_id = members.profile_id
inner join {{ consented('gdpr', 'email_marketing') }} as granted
    on granted.profile_id = members.profile_id
where people.email is not null
"""
SYNC_YML = """\
version: 2

models:
  - name: [[name]]
    description: >-
      What [[destination]] should hold about [[audience]]. One row per member with consent.
    config:
      contract: {enforced: true}
      meta:
        sync:
          destination: [[destination]]
          mode: mirror
          consent: [{regulation: gdpr, purpose: email_marketing}]
          identifiers: [email]
          guard: {max_removed_percent: 50}
    data_tests:
      - is_sync:
          arguments:
            never_null: [profile_id, email, consent_message_id]
    columns:
      - name: row_key
        data_type: text
        description: What identifies the row at the destination.
      - name: profile_id
        data_type: text
        description: The person.
      - name: email
        data_type: text
        description: Address, trimmed and lower case.
      - name: consent_message_id
        data_type: text
        description: The message that granted consent.
"""

STAGING_SQL = """\
-- A record of [[name]] is a `track` named Record Received. One row per landed record.
{{ mapping(
    '[[name]]', '[[stream]]', type='track', event='Record Received',
    key='id', cursor='happened_at', occurred_at='happened_at',
    identifiers={'user_id': 'user_id', 'email': 'email'},
    properties={'record_id': 'id'},
) }}
"""
STAGING_YML = """\
version: 2

sources:
  - name: [[name]]
    schema: landing
    tables:
      - name: [[stream]]
        identifier: [[name]]__[[stream]]
        description: What lands from [[name]].
        config:
          meta: {dagster: {asset_key: [[[name]], [[stream]]]}}

models:
  - name: stg_[[name]]__[[stream]]
    description: >-
      Records of [[name]] as tracks named Record Received. One row per landed record.
    config:
      materialized: view
"""

SOURCE = {
    "files": """\
# CSV files that appear in CDP_HOME/[[name]] (a path that begins with / is taken as it is).
type: cdp_orchestration.components.Source
attributes:
  kind: files
  path: [[name]]
  schedule: "0 * * * *"
  streams:
    [[stream]]: {glob: "*.csv"}
""",
    "sql": """\
# A table of a database. Set [[NAME]]_DATABASE_URL (postgresql+psycopg2://user:password@host/db).
type: cdp_orchestration.components.Source
attributes:
  kind: sql
  url: "{{ env.[[NAME]]_DATABASE_URL }}"
  schedule: "0 * * * *"
  streams:
    [[stream]]: {table: [[stream]], key: [id], cursor: happened_at, lag_seconds: 3600}
""",
}
DESTINATION = {
    "webhook": """\
# [[name]] takes rows at a webhook.
type: cdp_orchestration.components.Destination
attributes:
  kind: webhook
  waits_for: [[NAME]]_WEBHOOK_URL  # until it is set, syncs to it wait and `cdp status` shows what they owe
  url: "{{ env.[[NAME]]_WEBHOOK_URL }}"
  token: "{{ env.[[NAME]]_WEBHOOK_TOKEN }}"
""",
    "file_drop": """\
# [[name]] picks up files: one JSON Lines file of operations per delivery, in CDP_HOME/drop/[[name]].
type: cdp_orchestration.components.Destination
attributes:
  kind: file_drop
  folder: drop/[[name]]
  format: jsonl
""",
}


def filled(template: str, **values: str) -> str:
    """The template with [[name]] and the like in place; [[NAME]] is the name in capitals."""
    for key, value in values.items():
        template = template.replace(f"[[{key}]]", value).replace(f"[[{key.upper()}]]", value.upper())
    return template
