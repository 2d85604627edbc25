"""`cdp why-member AUDIENCE TYPE=VALUE`: the conditions of an audience, each with the person's value, and member or not."""

import re
from collections.abc import Iterator
from typing import Any

from cdp_orchestration.conditions.asking import Unexplained
from cdp_orchestration.conditions.take_apart import explain, parsed
from cdp_orchestration.conditions.tree import Condition, reasons
from cdp_orchestration.home import Home
from cdp_orchestration.identity.rules import Identifier
from cdp_orchestration.project.compiled import compiled
from cdp_orchestration.project.manifest import audiences, current_manifest
from cdp_orchestration.queries.answers import Answer, Lines, Rows
from cdp_orchestration.queries.audiences import known_audiences
from cdp_orchestration.queries.giving_way import kept_out
from cdp_orchestration.queries.person import holder
from cdp_orchestration.warehouse import Reading, RelationMissing, Warehouse, target

VERDICTS = {True: "holds", False: "fails", None: "unknown: null"}
Stay = tuple[Any, Any]  # entered, exited


def why_member(home: Home, audience: str, identifier: Identifier) -> Iterator[Answer]:
    """Each condition of the audience for one person, then a sentence: member or not, since when, and why.

    Raises NeedsAPerson where audience or identifier is unknown, or nothing is built.
    """
    manifest = current_manifest(home)
    known_audiences(manifest, [audience])
    with Warehouse(home).reading() as connection:
        person = holder(connection, *identifier)
    sql = compiled(home, [audiences(manifest)[audience]])[audience]
    with Warehouse(home).reading() as connection:
        shown, found = conditions(connection, audience, person, sql)
        stays, since = stays_of(connection, audience, person), _since(connection, audience, person)
        kept = kept_out(connection, manifest, audience, person)
    yield from shown
    yield _now(audience, "=".join(identifier), stays, found, since, kept)


def conditions(connection: Reading, audience: str, person: str, sql: str) -> tuple[list[Answer], Condition | None]:
    """What is to be shown, and the tree; none where the SQL cannot be taken apart, or what it reads is not built."""
    shown: list[Answer] = [f"Person {person}"]
    try:
        found = explain(connection, parsed(sql, dialect()), dialect(), person, spoken())
    except Unexplained as error:
        if isinstance(error.__cause__, RelationMissing):
            shown.append(_not_there(audience, str(error.__cause__)))
        else:
            shown.append(f"The conditions of {audience} cannot be shown: {error}.")
        return shown, None
    columns = ["condition", "value", "threshold", "verdict"]
    return [*shown, Rows(f"Conditions of {audience}", columns, lines(found))], found


def _not_there(audience: str, said: str) -> str:
    """What is missing: a relation or a column, in the warehouse's words."""
    words = " ".join(said.split())
    if re.search(r"column|binder", words, re.IGNORECASE):
        return (
            f"{audience} reads a column that the warehouse does not have: correct its name in the model, or, if a model or the "
            f"catalogue got it since the last build, `cdp run` builds it. The warehouse says: {words}"
        )
    return f"A relation that {audience} reads is not built: `cdp run` builds it. The warehouse says: {words}"


def dialect() -> str:
    """The dialect of compiled models, as sqlglot calls it: by the name of the target's engine."""
    return target()


def spoken() -> str:
    """The dialect of `Warehouse.reading()`: Python reads Spark's tables by DuckDB."""
    return "duckdb" if target() == "spark" else target()


def lines(condition: Condition, depth: int = 0) -> Lines:
    """The tree as rows, a step of two spaces deeper in what belongs to the row above."""
    if condition.kind == "all" and depth == 0:
        return [line for part in condition.parts for line in lines(part)]
    verdict = VERDICTS[condition.verdict]
    if condition.row_of:
        verdict = "holds" if condition.holds else "fails: no row"
    found: Lines = [("  " * depth + condition.shown, condition.value, condition.threshold, verdict)]
    if condition.within:
        inner = condition.within
        for part in inner.parts if inner.kind == "all" else [inner]:
            found += lines(part, depth + 1)
    for part in condition.parts:
        found += lines(part, depth + 1)
    return found


def because(condition: Condition) -> str:
    """The leaves that fail, each with what the person has; of a missing row also why there is none."""
    said = []
    for leaf in reasons(condition):
        inner = because(leaf.within) if leaf.within and leaf.row_of and not leaf.holds else ""
        has = f"({leaf.value})" if leaf.value is not None else ""
        wanted = "fails" if leaf.verdict is False else "is unknown" if leaf.verdict is None else "holds, and must not"
        words = (
            [leaf.shown.replace("has a row", "no row", 1)]
            if leaf.row_of and not leaf.holds
            else [leaf.shown, wanted, has]
        )
        said.append(" ".join(word for word in words if word) + (f", for {inner}" if inner else ""))
    return "; ".join(said)


def _now(audience: str, name: str, stays: list[Stay], found: Condition | None, since: Any, kept: list[str]) -> str:
    if since is not None:
        said = f"{name} is a member of {audience} since {since}."
    else:
        left = max((exited for _, exited in stays if exited), default=None)
        said = f"{name} is not a member of {audience}{f'; was one until {left}' if left else ''}."
    if kept and since is None and (found is None or found.verdict is True):
        return f"{said} {'The conditions hold, but ' if found else ''}{'; '.join(kept)}."
    if kept:
        return f"{said} It {'should be none' if since is not None else 'could not be one'}: {'; '.join(kept)}." + (
            " `cdp run` brings them together."
            if since is not None
            else f" Nor do the conditions hold: {because(found)}."
            if found
            else ""
        )
    if found is None:
        return said
    holds = found.verdict is True
    if holds != (since is not None):
        return (
            f"{said} By the conditions above {'it should be one' if holds else f'it should be none: {because(found)}'}: the model, "
            "or what it reads, has changed since the audience was built. `cdp run` brings them together."
        )
    return f"{said} {'The conditions hold.' if holds else f'Why not: {because(found)}.'}"


def stays_of(connection: Reading, audience: str, person: str) -> list[Stay]:
    found = connection.execute(
        "select entered_at, exited_at from audiences.memberships where audience = ? and profile_id = ? order by 1",
        [audience, person],
    ).fetchall()
    return [(entered, exited) for entered, exited in found]


def _since(connection: Reading, audience: str, person: str) -> Any:
    row = connection.execute(
        "select entered_at from audiences.current_members where audience = ? and profile_id = ?", [audience, person]
    ).fetchone()
    return row[0] if row else None
