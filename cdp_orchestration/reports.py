"""What the operator's verbs show: tables read from the warehouse, the landing manifests and the ledger."""

import json
import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Reading, Warehouse

Rows = list[tuple[Any, ...]]


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A plain table; numbers to the right."""
    lines = [list(row) for row in rows]
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(lines) and all(isinstance(row[index], int | float) or row[index] is None for row in lines)
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in lines:
        shown.add_row(*(_text(value) for value in row))
    if not lines:
        shown.caption, shown.caption_justify = "none", "left"
    return shown


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(value)


def intake(connection: Reading) -> Rows:
    """Per source and stream: landed, accepted, duplicate, quarantined records."""
    return connection.execute(
        """
        with landed as (
            select source, stream, sum(records) as records from landing._batches
            where batch_seq <= (select through_batch_seq from staging.current_build) group by source, stream
        ),
        fates as (
            select source, stream,
                count(*) filter (where fate = 'accepted') as accepted,
                count(*) filter (where fate = 'duplicate') as duplicate,
                count(*) filter (where fate = 'quarantined') as quarantined
            from staging.intake group by source, stream
        )
        select source || '.' || stream, cast(records as bigint), coalesce(accepted, 0), coalesce(duplicate, 0),
            coalesce(quarantined, 0)
        from landed left join fates using (source, stream) order by 1
        """
    ).fetchall()


def people(connection: Reading) -> Rows:
    """Counts of people, identifiers, merges and messages that nobody could be told for."""
    return connection.execute(
        """
        select what, amount
        from (
            select 1 as place, 'people' as what, count(*) as amount from profiles.profiles union all
            select 2, 'of them known (user_id, email or phone)', count(*) from profiles.profiles where is_known union all
            select 3, 'identifiers', count(*) from identity.identifiers union all
            select 4, 'merges', count(*) from identity.merges where kind = 'merge' union all
            select 5, 'identifiers refused by a rule', count(*) from identity.refusals union all
            select 6, 'messages', count(*) from staging.messages union all
            select 7, 'messages of nobody', count(*) from profiles.events where profile_id is null
        ) as counted
        order by place
        """
    ).fetchall()


def sizes(connection: Reading, layer: str, without: tuple[str, ...] = ()) -> Rows:
    """(model, rows) of every table of a layer."""
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = ? order by 1", [layer]
    ).fetchall()
    found: Rows = []
    for (name,) in names:
        if name in without or name.startswith("_"):
            continue
        counted = connection.execute(f'select count(*) from "{layer}"."{name}"').fetchone()
        found.append((name, counted[0] if counted else 0))
    return found


def profile(home: Home, identifier_type: str, value: str, console: Console) -> None:
    """Print one person: identifiers, traits with their sources, consents, last events, attributes, audiences.

    Raises StopAndTell where no person holds the identifier.
    """
    with Warehouse(home).reading() as connection:
        found = connection.execute(
            "select profile_id from identity.identifiers where identifier_type = ? "
            "and lower(identifier_value) = lower(trim(?))",
            [identifier_type, value],
        ).fetchone()
        if found is None:
            types = [row[0] for row in connection.execute(
                "select distinct identifier_type from identity.identifiers order by 1").fetchall()]  # fmt: skip
            raise StopAndTell(
                f"Nobody holds {identifier_type}={value}. Identifier types in the warehouse: {', '.join(types) or 'none'}. "
                "A blocked or quarantined value identifies nobody: see `cdp quarantine`."
            )
        profile_id = found[0]

        def show(title: str, columns: list[str], sql: str) -> None:
            console.print(table(title, columns, connection.execute(sql, [profile_id]).fetchall()))
            console.print()

        console.print(f"[bold]Person {profile_id}[/bold]\n")
        show("Identifiers", ["type", "value", "first seen", "last seen"],
             "select identifier_type, identifier_value, first_seen_at, last_seen_at from identity.identifiers "
             "where profile_id = ? order by 1, 2")  # fmt: skip
        show("Absorbed profiles", ["absorbed", "at", "linked by", "value", "message"],
             "select from_profile_id, merged_at, identifier_type, identifier_value, message_id from identity.merges "
             "where kind = 'merge' and into_profile_id = ? order by 2")  # fmt: skip
        show("Traits", ["trait", "value", "source", "said at", "message"],
             "select trait, value, source, occurred_at, message_id from profiles.traits where profile_id = ? order by 1")  # fmt: skip
        show("Consents", ["regulation", "purpose", "state", "said at", "message"],
             "select regulation, purpose, state, occurred_at, message_id from profiles.consents where profile_id = ? "
             "order by 1, 2")  # fmt: skip
        show("Last events", ["at", "source", "type", "event", "properties"],
             "select occurred_at, source, type, event_name, left(properties, 80) from profiles.events "
             "where profile_id = ? order by occurred_at desc, arrival desc limit 10")  # fmt: skip
        console.print(table("Attributes", ["attribute", "value"], _attributes(connection, profile_id)))
        console.print()
        show("Audiences", ["audience", "entered", "exited"],
             "select audience, entered_at, exited_at from audiences.memberships where profile_id = ? order by 2, 1")  # fmt: skip


def _attributes(connection: Reading, profile_id: str) -> Rows:
    values: Rows = []
    for name, _ in sizes(connection, "attributes"):
        cursor = connection.execute(f'select * from attributes."{name}" where profile_id = ?', [profile_id])
        columns = [column[0] for column in cursor.description or []]
        for row in cursor.fetchall():
            values += [pair for pair in zip(columns, row, strict=True) if pair[0] != "profile_id"]
    return values


def quarantine(home: Home, samples: int, console: Console) -> int:
    """Print reasons with counts and samples; returns how many refusals there are."""
    with Warehouse(home).reading() as connection:
        rows = connection.execute(
            "select source || '.' || stream, scope, reason, coalesce(field, ''), count(*) from staging.quarantine "
            "group by 1, 2, 3, 4 order by 5 desc, 1, 3"
        ).fetchall()
        console.print(table("Quarantine", ["stream", "scope", "reason", "field", "count"], rows))
        for stream, scope, reason, field, _ in rows:
            examples = connection.execute(
                "select coalesce(file, ''), file_record_no, batch_seq, record_no, coalesce(detail, ''), "
                "left(coalesce(payload, ''), 160) from staging.quarantine "
                "where source || '.' || stream = ? and scope = ? and reason = ? and coalesce(field, '') = ? "
                "order by batch_seq, record_no limit ?",
                [stream, scope, reason, field, samples],
            ).fetchall()
            console.print()
            shown = [(file, _place(file, number, batch, record, detail), detail, payload)
                     for file, number, batch, record, detail, payload in examples]  # fmt: skip
            console.print(table(f"{stream}: {reason} {field}", ["file", "place", "detail", "payload"], shown))
    return sum(row[4] for row in rows)


def _place(file: str, number: int | None, batch: int, record: int, detail: str) -> str:
    """Where in its file a record stands: the line, where the reader said it, else its number; without a file, its batch."""
    if line := re.match(r"line \d+", detail):
        return line.group()
    return f"record {number}" if file and number else f"batch {batch}, record {record + 1}"


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
