{# What a model promises, as one check: one query, which has a row for each promise that is broken
   and says by how many rows.

   never_null: columns.
   unique: columns, lists of columns that are unique together, or
     {columns: [...], where: "condition"}.
   accepted_values: {column: [values]}.
   relationships: {column: {to: "{{ ref('model') }}", field: column}}; a null relates to nothing.
   this_build: the condition that the rows of this build meet, for a relation that keeps those of
     earlier ones. A check that passed in the build before looks at these, and at what their keys
     collide with. It looks at everything at a full refresh, with `cdp check --data`, and from a
     failure on until it passes. #}
{% test holds(
    model, never_null=[], unique=[], accepted_values={}, relationships={}, this_build=none
) %}
{{ cdp.broken_promises(
    model, never_null, unique, accepted_values, relationships,
    this_build=this_build if this_build and cdp.looks_at_this_build() else none,
) }}
{% endtest %}

{# An audience: its members are people, each once, and exactly those who were seen to enter and not
   to leave; where it is split, each in one variant, and seen to enter that. #}
{% test is_audience(model, never_null=[], unique=[], accepted_values={}) %}
{%- set split = execute and cdp.is_split(graph.nodes['model.cdp.' ~ model.identifier]) -%}
{% set history %}
select coalesce(members.profile_id, known.profile_id)
from {{ model }} as members
full outer join (
    select profile_id, variant
    from {{ ref('current_members') }}
    where audience = '{{ model.identifier }}'
) as known on known.profile_id = members.profile_id
where
    members.profile_id is null
    or known.profile_id is null
    {{ 'or not ' ~ cdp.same_variant('known', 'members') if split }}
{% endset %}
{{ cdp.broken_promises(
    model, ['profile_id'] + (['variant'] if split else []) + never_null, ['profile_id'] + unique, accepted_values,
    {'profile_id': {'to': ref('profiles'), 'field': 'profile_id'}},
    {'members_match_history': history}
) }}
{% endtest %}

{# An attribute: a row is a person's, and a person has one at most. Of one that is recomputed in part,
   the check looks at the rows of this build, as `holds` does. #}
{% test is_attribute(model, never_null=[], unique=[], accepted_values={}) %}
{{ cdp.broken_promises(
    model, ['profile_id'] + never_null, ['profile_id'] + unique, accepted_values,
    {'profile_id': {'to': ref('profiles'), 'field': 'profile_id'}},
    this_build=cdp.recomputed_rows(model)
) }}
{% endtest %}

{# A sync: each row has a key of its own at the destination. #}
{% test is_sync(model, never_null=[], unique=[], accepted_values={}) %}
{{ cdp.broken_promises(model, ['row_key'] + never_null, ['row_key'] + unique, accepted_values) }}
{% endtest %}
