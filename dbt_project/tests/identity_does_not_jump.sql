-- A person who suddenly holds twice as many identifiers, or messages that suddenly merge three
-- times as many people, are the signs of a value that belongs to nobody: look at identity.health
-- for what to block. A row here is a jump; it warns.
{{ config(severity='warn') }}

with numbered as (
    select
        vitals.*,
        row_number() over (
            order by coalesce(vitals.resolution_no, 0) desc, vitals.as_of desc
        ) as place
    from {{ ref('vitals') }} as vitals
)

select
    now.build_id,
    before.largest_profile as largest_before,
    now.largest_profile as largest_now,
    before.merged as merged_before,
    now.merged as merged_now
from numbered as now
inner join numbered as before on before.place = 2
where
    now.place = 1
    and (
        (now.largest_profile > 20 and now.largest_profile > 2 * before.largest_profile)
        or (
            now.merged - before.merged > 100
            and cast(now.merged - before.merged as {{ dbt.type_float() }}) * before.messages
            > 3.0 * before.merged * (now.messages - before.messages)
        )
    )
