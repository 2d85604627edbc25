-- Who entered last is a member, in the variant that they entered, and who left last is none: of
-- those whom the last builds moved, and of everybody where this check did not pass in the build
-- before. Audiences write after it: what the build before wrote is looked at now.
{% set last_builds -%}
    build_id in (
        select builds.build_id
        from {{ as_built('builds') }} as builds
        order by builds.started_at desc
        limit 2
    )
{%- endset %}
{{ members_astray(
    ref('changes'), ref('current_members'), last_builds if looks_at_this_build() else none
) }}
