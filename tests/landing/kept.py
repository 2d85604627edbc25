"""A home whose files are compacted, and beside it what everybody must find in it: for the tests of compaction."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow.parquet as pq

from cdp_orchestration import compacted
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery.ledger import Entry, Ledger, Planned
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.landing import compaction as of_landing
from tests.support.macros import rendered

STREAMS = [("till", "rows"), ("web", "events")]
SYNC = "to_crm"


class Kept:
    """A home, and beside it what everybody must find in it, however it is compacted."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.landing, self.ledger = Landing(self.home.landing), Ledger(self.home.deliveries)
        self.ledger.prepare()
        for stream in STREAMS:
            self.landing.prepare(*stream)
        self.records: dict[tuple[str, str], list[tuple[int, int, str]]] = {stream: [] for stream in STREAMS}
        self.manifests: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}
        self.attempts: list[tuple[int, int, str]] = []

    def land(self, size: int, stream: tuple[str, str] = STREAMS[0]) -> None:
        number = len(self.manifests)
        name = f"file {number % 5}"
        page = Page([Record(f'{{"n":[{number},{n}]}}') for n in range(size)], {"at": number}, {name: str(number)})
        [batch] = self.landing.land(*stream, [page])
        self.records[stream] += [(batch.batch_seq, n, record.payload or "") for n, record in enumerate(page.records)]
        self.manifests.append(json.loads(batch.path.with_suffix(".json").read_text()))
        self.files |= {name: str(number)} if stream == STREAMS[0] else {}

    def attempt(self, size: int) -> None:
        first = len(self.attempts) + 1
        rows = [Planned(n, "add", f"k{first + n}", None, "{}", "{}", "", None, f"i{first + n}", 1) for n in range(size)]
        self.ledger.append(SYNC, "run", [Entry(row, "accepted", "", "") for row in rows], Place("crm", "here"))
        self.attempts += [(first + n, first, f"k{first + n}") for n in range(size)]

    def check(self) -> None:
        """By Python, from the index and from manifests alone, and from a client's view of any DuckDB."""
        for again in (False, True):
            if again:
                (self.home.landing / ".index.sqlite").unlink(missing_ok=True)
            self.check_python()
        self.check_views(views(self.home, ":memory:"))

    def check_python(self) -> None:
        landing = Landing(self.home.landing)
        told = [
            (b.batch_seq, b.batch_id, b.source, b.stream, b.records, b.errors, b.landed_at.isoformat(timespec="microseconds"))
            for b in landing.batches()
        ]  # fmt: skip
        names = ("batch_seq", "batch_id", "source", "stream", "records", "errors", "landed_at")
        assert told == [tuple(manifest[name] for name in names) for manifest in self.manifests]
        for stream, expected in self.records.items():
            mine = [manifest for manifest in self.manifests if (manifest["source"], manifest["stream"]) == stream]
            assert landing.state(*stream) == (mine[-1]["state"] if mine else {})
            parts = (part.to_pylist() for batch in landing.batches(*stream) for part in batch.parts())
            rows = [(row["_batch_seq"], row["_record_no"], row["_payload"]) for part in parts for row in part]
            assert rows == expected
            whole = [row for path in landing.live(*stream) for row in pq.read_table(path).to_pylist()]
            assert [(row["_batch_seq"], row["_record_no"], row["_payload"]) for row in whole] == expected
        assert landing.files(*STREAMS[0]) == self.files
        assert landing.last_seq() == len(self.manifests)
        files = self.ledger.files(SYNC)
        rows = [row for path in files for row in pq.read_table(path).to_pylist()]
        assert [(row["ledger_no"], row["batch_no"], row["row_key"]) for row in rows] == self.attempts
        assert self.ledger.next_no(SYNC) == len(self.attempts) + 1

    def check_views(self, connection: duckdb.DuckDBPyConnection) -> None:
        """What dbt and people read."""
        with connection:
            for (source, stream), expected in self.records.items():
                sql = f"select _batch_seq, _record_no, _payload from landing.{source}__{stream} order by 1, 2"
                assert connection.execute(sql).fetchall() == expected
            sql = "select batch_seq, batch_id, source, stream, records from landing._batches order by 1"
            names = ("batch_seq", "batch_id", "source", "stream", "records")
            expected_batches = [tuple(manifest[name] for name in names) for manifest in self.manifests]
            assert connection.execute(sql).fetchall() == expected_batches
            sql = "select ledger_no, batch_no, row_key from landing._ledger order by 1"
            assert connection.execute(sql).fetchall() == self.attempts


def views(home: Home, database: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the views that a build makes before it reads, made by the macro that makes them there."""
    connection = duckdb.connect(database)

    def run_query(sql: str) -> Any:
        return SimpleNamespace(rows=connection.execute(sql).fetchall())

    sources = [SimpleNamespace(source_name=a, name=b, schema="landing", identifier=f"{a}__{b}") for a, b in STREAMS]
    sources += [
        SimpleNamespace(source_name="cdp", name=n, schema="landing", identifier=f"_{n}") for n in ("batches", "ledger")
    ]
    context = {
        "run_query": run_query,
        "env_var": lambda *_: str(home.root),
        "graph": SimpleNamespace(sources=dict(enumerate(sources))),
    }
    rendered("duckdb", "duckdb__open_landing", context=context)
    return connection


def compact(kept: Kept, most: int = compacted.MOST_ROWS) -> None:
    for stream in STREAMS:
        of_landing.compact(kept.landing, *stream, most=most)
    of_ledger.compact(kept.ledger, SYNC, most=most)


def compacted_files(folder: Path) -> list[Path]:
    return sorted((folder / "compacted").glob("0*.parquet"))
