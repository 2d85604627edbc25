-- What this build resolves: the messages that arrived after `after_arrival`; all of them (-1) after
-- a full refresh, after a changed override, or where the last resolution did not reach its end. One
-- row.
{% set begun = resolution_to_begin(ref('overrides')) %}

select
    cast({{ begun.number }} as {{ dbt.type_bigint() }}) as resolution_no,
    cast({{ begun.after }} as {{ dbt.type_bigint() }}) as after_arrival,
    cast('{{ begun.signature }}' as {{ dbt.type_string() }}) as signature,
    (
        select coalesce(max(messages.arrival), -1)
        from {{ ref('messages') }} as messages
    ) as through_arrival
