-- Who entered last is a member, who left last is none: of those whom this build moved, and of
-- everybody at a full refresh.
{{ members_astray(
    ref('changes'), ref('current_members'), none if flags.FULL_REFRESH else this_build_id()
) }}
