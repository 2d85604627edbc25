"""What an operator sees of audiences in Dagster: how each moved over the last builds, whom they reach, what they share."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from cdp_orchestration.components.markdown import markdown_table
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import NothingBuilt, QueryFailed, Reading, Warehouse

log = logging.getLogger("cdp")

JUMPS = "audiences_do_not_jump"  # the check in dbt_project/tests
BUILDS_SHOWN = 12
BAR = 20  # characters of the largest size
MANY = 200_000  # memberships: of more, coverage and overlap are worked out when somebody asks (`cdp audiences`)


def audience_charts(connection: Reading) -> dict[str, dict[str, Any]]:
    """By audience: the numbers of its last build, which Dagster plots over time, and a chart of the last builds."""
    try:
        rows = connection.execute(
            f"""
            select audience, "at", members, entered, exited, volatility
            from (
                select sizes.*, row_number() over (partition by audience order by "at" desc, build_id desc) as place
                from audiences.sizes as sizes
            ) as numbered
            where place <= {BUILDS_SHOWN}
            order by audience, place
            """
        ).fetchall()
    except QueryFailed:  # a warehouse from before there were sizes, of which no audience was built since
        return {}
    found: dict[str, dict[str, Any]] = {}
    for audience in dict.fromkeys(row[0] for row in rows):
        lines = [row[1:] for row in rows if row[0] == audience]
        most = max(members for _, members, *_ in lines) or 1
        shown = [
            (at, f"{members:,}", "█" * round(BAR * members / most), f"{entered:,}", f"{exited:,}")
            for at, members, entered, exited, _ in lines
        ]
        _, members, entered, exited, volatility = lines[0]
        found[audience] = {"members": members, "entered": entered, "exited": exited}
        if volatility is not None:
            found[audience]["volatility"] = float(volatility)
        found[audience]["last builds"] = dg.MetadataValue.md(
            markdown_table(["as of", "members", "", "entered", "exited"], shown)
        )
    return found


def about_all(connection: Reading, name: str) -> dict[str, Any]:
    """audiences.coverage or audiences.overlap as a table: views, which are not worked out in a pass where people are many."""
    try:
        counted = connection.execute("select count(*) from audiences.current_members").fetchone()
        if counted is None or counted[0] > MANY:
            return {}
        if name == "coverage":
            columns = ["audience", "members", "with_email", "with_phone", "with_device"]
            rows = connection.execute(f"select {', '.join(columns)} from audiences.coverage order by 1").fetchall()
        else:
            columns, rows = _matrix(connection)
    except QueryFailed:
        return {}
    return {name: dg.MetadataValue.md(markdown_table(columns, rows))} if rows else {}


def _matrix(connection: Reading) -> tuple[list[str], list[tuple[Any, ...]]]:
    shares = {
        (one, other): share
        for one, other, share in connection.execute(
            "select audience_a, audience_b, share_of_a from audiences.overlap"
        ).fetchall()
    }
    names = sorted({one for one, _ in shares})
    rows = [(one, *("" if one == other else f"{shares.get((one, other), 0):.0%}" for other in names)) for one in names]
    return ["of, in", *names], rows


def with_jumps(events: Iterable[Any], home: Home, target_path: Path) -> Iterator[Any]:
    """The events, with the check of jumps as it stands now: dbt asks it before the audiences have written their sizes."""
    for event in events:
        if not isinstance(event, dg.AssetCheckResult) or event.check_name != JUMPS:
            yield event
            continue
        found = _jumps(home, target_path)
        if found is None:
            yield event
            continue
        for words in found:
            log.warning(words)
        yield event._replace(
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(found) or None,
            metadata={"jumps": dg.MetadataValue.md("\n".join(f"- {words}" for words in found))} if found else {},
        )


def _jumps(home: Home, target_path: Path) -> list[str] | None:
    """A sentence per jump of the last build; None where the check cannot be asked (Spark's tables are read by DuckDB)."""
    asked = next((target_path / "compiled").rglob(f"{JUMPS}.sql"), None)
    if asked is None:
        return None
    try:
        with Warehouse(home).reading() as connection:
            rows = connection.execute(asked.read_text()).fetchall()
    except (NothingBuilt, QueryFailed):
        return None
    return [
        f"audience {audience}: {now:,} members, and {before:,} a day before: it moved by more than {float(limit):g} %. Where that "
        "is as it should be, raise jump_percent (docs/audiences.md)."
        for audience, before, now, limit in sorted(rows)
    ]
