"""`cdp quarantine`: what was refused and why."""

import re
from collections.abc import Iterator

from cdp_orchestration.home import Home
from cdp_orchestration.queries.answers import Answer, Rows
from cdp_orchestration.warehouse import Warehouse


def quarantine(home: Home, samples: int) -> Iterator[Answer]:
    """Reasons with counts, then samples of each."""
    with Warehouse(home).reading() as connection:
        rows = connection.execute(
            "select source || '.' || stream, scope, reason, coalesce(field, ''), count(*) from staging.quarantine "
            "group by 1, 2, 3, 4 order by 5 desc, 1, 3"
        ).fetchall()
        yield Rows("Quarantine", ["stream", "scope", "reason", "field", "count"], rows)
        for stream, scope, reason, field, _ in rows:
            examples = connection.execute(
                "select coalesce(file, ''), file_record_no, batch_seq, record_no, coalesce(detail, ''), "
                "left(coalesce(payload, ''), 160) from staging.quarantine "
                "where source || '.' || stream = ? and scope = ? and reason = ? and coalesce(field, '') = ? "
                "order by batch_seq, record_no limit ?",
                [stream, scope, reason, field, samples],
            ).fetchall()
            shown = [(file, _place(file, number, batch, record, detail), detail, payload)
                     for file, number, batch, record, detail, payload in examples]  # fmt: skip
            yield Rows(f"{stream}: {reason} {field}", ["file", "place", "detail", "payload"], shown)


def _place(file: str, number: int | None, batch: int, record: int, detail: str) -> str:
    """Where in its file a record stands: the line, where the reader said it, else its number; without a file, its batch."""
    if line := re.match(r"line \d+", detail):
        return line.group()
    return f"record {number}" if file and number else f"batch {batch}, record {record + 1}"
