{# A stream that is a table: a thing has one row, and each landed record is the version that counts, an
   older one, or set aside. (A batch that landed after the build's beginning is the next one's.) #}
{% test is_table(model, never_null=[], unique=[], accepted_values={}) %}
{% set table = cdp.table_of(model) %}
{% set landed %}
select counted.landed
from (
    select
        (
            select coalesce(sum(batches.records), 0)
            from {{ source('cdp', 'batches') }} as batches
            where
                batches.source = '{{ table['source'] }}' and batches.stream = '{{ table['stream'] }}'
                and batches.batch_seq <= (
                    select current_build.through_batch_seq
                    from {{ ref('current_build') }} as current_build
                )
        ) as landed,
        (select coalesce(sum(held.versions), 0) from {{ model }} as held) as versions,
        (
            select count(*)
            from {{ ref('refused') }} as refused
            where
                refused.source = '{{ table['source'] }}' and refused.stream = '{{ table['stream'] }}'
                and refused.scope = 'record'
        ) as set_aside
) as counted
where counted.landed <> counted.versions + counted.set_aside
{% endset %}
{{ cdp.broken_promises(
    model, table['key'] + never_null, [table['key']] + unique, accepted_values,
    more={'nothing_lost': landed}
) }}
{% endtest %}
