"""`cdp preview AUDIENCE`: who an audience would hold by its model as it is in the checkout now. Nothing is built or recorded."""

from collections.abc import Iterator
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import reach_columns
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.project.compiled import compiled
from cdp_orchestration.project.manifest import ABOUT, audiences, current_manifest
from cdp_orchestration.project.relations import existing
from cdp_orchestration.queries.answers import Answer, Lines, Rows
from cdp_orchestration.queries.audiences import known_audiences
from cdp_orchestration.queries.giving_way import goes_before
from cdp_orchestration.queries.people import shown_people
from cdp_orchestration.warehouse import QueryFailed, Reading, Warehouse, target

SAMPLE = 10


def preview(home: Home, name: str) -> Iterator[Answer]:
    """Size, who would enter and leave, who can be reached how, and a sample, by attributes as they were last built.

    Raises NeedsAPerson for an unknown audience, one whose models are not built yet, and SQL that dbt or the warehouse refuses.
    """
    if target() == "spark":
        raise NeedsAPerson("CDP_TARGET=spark: `cdp preview` cannot ask Spark. Use it on DuckDB or PostgreSQL.")
    manifest = current_manifest(home)
    known_audiences(manifest, [name])
    node = audiences(manifest)[name]
    if not Warehouse(home).exists():
        raise NeedsAPerson("Nothing is built yet, so there is nobody to look at: `cdp run` builds.")
    with Warehouse(home).reading() as connection:
        missing = _not_built(connection, manifest, node)
    if missing:
        raise NeedsAPerson(
            f"{node['original_file_path']}: reads what is not built yet: {', '.join(missing)}. `cdp run` builds it."
        )
    sql = compiled(home, [node])[name]
    with Warehouse(home).reading() as connection:
        try:
            answers = list(_answers(connection, name, sql, goes_before(manifest, name)))
        except QueryFailed as error:
            raise NeedsAPerson(f"{node['original_file_path']}: the warehouse refuses it. It says:\n{error}") from None
    yield from answers
    yield "Nothing was recorded: the next `cdp run` builds it."


def _not_built(connection: Reading, manifest: dict[str, Any], node: dict[str, Any]) -> list[str]:
    """The relations that a model reads, and that the warehouse does not have. What is ephemeral is a part of the model."""
    read: dict[str, None] = {}
    waiting = [node]
    while waiting:
        for key in waiting.pop()["depends_on"]["nodes"]:
            parent = manifest["nodes"].get(key)
            if parent and parent["config"].get("materialized") == "ephemeral":
                waiting.append(parent)
            elif parent and ABOUT not in parent["fqn"][:-1]:  # there the hooks write, which a preview does not run
                read[f"{parent['schema']}.{parent['alias']}"] = None
    there = existing(connection, list(read))
    return sorted(relation for relation in read if relation not in there)


def _answers(connection: Reading, name: str, sql: str, before: dict[str, tuple[str, str]]) -> Iterator[Answer]:
    """`before`: what the audience gives way to. No `?` for parameters here: the model's own text may hold one."""
    rules = identity_rules()
    listed = "audiences.current_members" in existing(connection, ["audiences.current_members"])
    literal = name.replace("'", "''")
    kept = [
        f"not exists (select 1 from {relation} as ahead where ahead.profile_id = selected.profile_id)"
        for relation, _ in before.values()
    ]
    members = f"select profile_id from audiences.current_members where audience = '{literal}'"
    steps = f"""
        with drafted as (
            select draft.profile_id from (
                {sql.strip().rstrip(";")}
            ) as draft
        ),
        selected as (select distinct profile_id from drafted where profile_id is not null),
        people as (select profile_id from selected{" where " if before else ""}{" and ".join(kept)}),
        members as ({members if listed else "select profile_id from people where 1 = 0"})
    """
    counted = connection.execute(
        steps + f"""
        select
            (select count(*) from people),
            (select count(*) from members),
            (select count(*) from people left join members on members.profile_id = people.profile_id
                where members.profile_id is null),
            (select count(*) from members left join people on people.profile_id = members.profile_id
                where people.profile_id is null),
            (select count(*) from drafted where profile_id is null),
            (select count(profile_id) from drafted),
            (select count(*) from selected),
            sum(held.has_email), sum(held.has_phone), sum(held.has_device)
        from people
        inner join (select profile_id, {reach_columns(rules)} from identity.identifiers group by profile_id) as held
            on held.profile_id = people.profile_id
        """
    ).fetchone()  # fmt: skip
    size, now, enter, leave, nobody, rows, selected, *reached = (int(count or 0) for count in counted or [0] * 10)
    as_of = connection.execute("select as_of from staging.current_build").fetchone()
    yield f"{name}, by its model as it is now and by what was last built (as of {as_of[0] if as_of else 'never'})"
    what = ["members", "members as last built", "would enter", "would leave", "of the members with an email", "with a phone",
            "with a device id"]  # fmt: skip
    yield Rows("Preview", ["what", "count"], list(zip(what, [size, now, enter, leave, *reached], strict=True)))
    if nobody:
        yield f"Rows without a profile_id: {nobody:,}. Its check `is_audience` will fail."
    if before:
        yield (
            f"{selected - size:,} more meet the conditions, but are kept out: "
            + "; ".join(f"who is in {other}, as {why}" for other, (_, why) in before.items())
            + "."
        )
    if rows > selected:
        yield f"{rows:,} rows for {selected:,} people, and a member has one row: its check `is_audience` will fail."
    yield Rows("A sample", ["person", "identifiers", "would enter"], _sample(connection, steps, rules))


def _sample(connection: Reading, steps: str, rules: dict[str, Any]) -> Lines:
    """The first people by id: ids are hashes, so these are any people, and the same ones each time."""
    people = connection.execute(
        f"{steps} select people.profile_id, members.profile_id is null from people "
        f"left join members on members.profile_id = people.profile_id order by people.profile_id limit {SAMPLE}"
    ).fetchall()
    shown = shown_people(connection, rules, [row[0] for row in people])
    return [(profile_id, shown[profile_id], bool(enters)) for profile_id, enters in people]
