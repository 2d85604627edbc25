"""Compaction changes which files hold what, and nothing else: no record is lost, doubled or moved, whenever it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_orchestration import compacted, compaction
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery.ledger import Entry, Ledger, Planned
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.landing import compaction as of_landing
from cdp_orchestration.landing import index as landing_index
from tests.macros import rendered

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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["land", "land elsewhere", "attempt"]), st.integers(1, 30)),
            st.tuples(st.sampled_from(["compact", "sweep", "build"]), st.integers(1, 12)),
        ),
        min_size=4, max_size=25,
    )
)  # fmt: skip
def test_whatever_happens_in_whatever_order_everybody_reads_each_record_once(
    tmp_path: Path, steps: list[tuple[str, int]]
) -> None:
    kept = Kept(tmp_path / f"{time.monotonic_ns()}")
    for what, size in steps:
        if what == "land":
            kept.land(size)
        elif what == "land elsewhere":
            kept.land(size, STREAMS[1])
        elif what == "attempt":
            kept.attempt(size)
        elif what == "compact":
            compact(kept, most=size)
        elif what == "sweep":
            compaction.sweep(kept.home)
        else:
            views(kept.home, str(kept.home.warehouse)).close()
    kept.check()
    if kept.home.warehouse.exists():  # by the views of whatever build was the last
        kept.check_views(duckdb.connect(str(kept.home.warehouse), read_only=True))


def test_a_compacted_file_holds_no_more_than_it_may_and_all_columns(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for size in (3, 1, 25, 2, 7):
        kept.land(size)
        kept.attempt(size)
    compact(kept, most=10)
    for folder, column in (
        (kept.home.landing / "till" / "rows", "_batch_seq"),
        (kept.ledger.root / "ledger" / SYNC, "ledger_no"),
    ):
        files = compacted_files(folder)
        assert [pq.read_metadata(file).num_rows for file in files] == [10, 10, 10, 8]
        [before] = {tuple(pq.read_schema(file).names) for file in folder.glob("0*.parquet")}
        assert {tuple(pq.read_schema(file).names) for file in files} == {before}
        assert [value for file in files for value in pq.read_table(file).column(column).to_pylist()] == sorted(
            value for file in folder.glob("0*.parquet") for value in pq.read_table(file).column(column).to_pylist()
        )
    kept.check()


def test_a_little_that_is_new_does_not_rewrite_a_lot_that_is_old(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    folder = kept.home.landing / "till" / "rows"
    for _ in range(2):
        kept.land(100)
    compact(kept)
    [large] = compacted_files(folder)
    for _ in range(2):
        kept.land(1)
    compact(kept)
    compaction.sweep(kept.home)
    assert large in compacted_files(folder)
    assert len(compacted_files(folder)) == 2
    for _ in range(2):
        kept.land(60)
    compact(kept)
    compaction.sweep(kept.home)
    assert len(compacted_files(folder)) == 1
    kept.check()


# Forks for each line (a number of steps) a child that compacts, and kills itself (-9) at that change on disk. It forks itself
# before it has threads, which the process of the tests has.
VICTIMS = """
import os, signal, sys
from pathlib import Path
from cdp_orchestration import compaction
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.landing import compaction as of_landing
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing

home = Home(Path(sys.argv[1]))

def work(left):
    def counting(real):
        def counted(*arguments, **named):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)
        return counted
    for name in ("replace", "rename", "unlink"):
        setattr(os, name, counting(getattr(os, name)))
    for stream in Landing(home.landing).streams():
        of_landing.compact(Landing(home.landing), *stream, most=10)
    of_ledger.compact(Ledger(home.deliveries), "to_crm", most=10)
    compaction.sweep(home)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            work([int(line)])
        except BaseException:
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_kill_at_any_step_of_compacting_or_sweeping_changes_nothing(tmp_path: Path) -> None:
    """Also that the next one, after whatever was left, does its work, and what landed in between is there."""
    kept = Kept(tmp_path / "home")
    for compacting in (True, False):
        for size in (3, 12):
            kept.land(size)
            kept.attempt(size)
        if compacting:
            compact(kept, most=10)
    shutil.copytree(kept.home.root, tmp_path / "before")
    command = [sys.executable, "-c", VICTIMS, str(kept.home.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as victims:

        def ended(step: int) -> int:
            assert victims.stdin
            assert victims.stdout
            victims.stdin.write(f"{step}\n")
            return int(victims.stdout.readline())

        step = 1
        while ended(step) == -signal.SIGKILL:
            step += 1
            Landing(kept.home.landing).recover()
            kept.check_python()
            kept.check_views(views(kept.home, ":memory:"))
            assert ended(10**9) == 0
            kept.check_views(views(kept.home, ":memory:"))
            for folder in (kept.home.landing / "till" / "rows", kept.ledger.root / "ledger" / SYNC):
                assert not list(folder.glob("0*.parquet"))
                listed = sorted(compacted.read_list(folder).paths(folder))
                assert compacted_files(folder) == listed
                assert len(list((folder / "compacted").glob("digest*"))) == (folder.name == SYNC)
                assert not list((folder / "compacted").glob(".*"))
            shutil.rmtree(kept.home.root)
            shutil.copytree(tmp_path / "before", kept.home.root)
        victims.communicate()
    assert step > 20


def test_a_warehouse_reads_on_until_its_next_build_and_then_what_was_replaced_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(tmp_path)
    folder = kept.home.landing / "till" / "rows"
    views(kept.home, str(kept.home.warehouse)).close()
    for size in (3, 4):
        kept.land(size)
        kept.attempt(size)
    compaction.compact(kept.home)
    assert caplog.messages == [
        "till.rows: 2 batches brought together; it is 1 file now.",
        f"ledger of {SYNC}: 2 files brought together; it is 1 file now.",
        "Files that were replaced stay until the next build, or until nobody uses the warehouse: they may be in use.",
    ]
    kept.land(5)
    kept.check_views(duckdb.connect(str(kept.home.warehouse), read_only=True))
    assert len(list(folder.glob("0*.parquet"))) == 3
    views(kept.home, str(kept.home.warehouse)).close()
    caplog.clear()
    compaction.compact(kept.home)
    assert caplog.messages == ["Nothing to compact.", "Removed 4 files that were replaced."]
    assert len(list(folder.glob("0*.parquet"))) == 1
    kept.check_views(duckdb.connect(str(kept.home.warehouse), read_only=True))
    kept.check()


def test_views_of_an_earlier_version_keep_what_they_read(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    with duckdb.connect(str(kept.home.warehouse)) as connection:
        connection.execute("create schema landing")
        connection.execute(
            f"create view landing.till__rows as select * from read_parquet('{kept.home.landing}/till/rows/*.parquet')"
        )
    compact(kept)
    assert compaction.sweep(kept.home) == (0, True)
    with duckdb.connect(str(kept.home.warehouse), read_only=True) as connection:
        assert connection.execute("select count(*) from landing.till__rows").fetchall() == [(7,)]


def test_nothing_is_removed_under_a_reader(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
        kept.attempt(size)
    with kept.landing.reading(), kept.ledger.reading():
        batches, files = kept.landing.batches(), kept.ledger.files(SYNC)
        compact(kept)
        assert compaction.sweep(kept.home) == (0, True)
        assert sum(part.num_rows for batch in batches for part in batch.parts()) == 7
        assert sum(pq.read_metadata(file).num_rows for file in files) == 7
    with kept.ledger.locked(SYNC):  # a delivery that waits to read, perhaps
        assert compaction.sweep(kept.home) == (2, True)
    assert compaction.sweep(kept.home) == (2, False)
    kept.check()


def test_a_file_that_does_not_hold_what_its_manifest_says_is_named_and_nothing_changes(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    path = kept.landing.batches()[1].path
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(NeedsAPerson, match=r"holds 3 records, but its manifest says 4.*nothing was compacted"):
        compact(kept)
    assert compacted.read_list(path.parent) == compacted.Compacted()
    compaction.compact_if_due(kept.home)  # a build goes on


def test_a_build_compacts_a_stream_of_very_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SMALL_BATCHES", 3)
    kept = Kept(tmp_path)
    for _ in range(3):
        kept.land(2)
    kept.land(1, STREAMS[1])
    compaction.compact_if_due(kept.home)
    assert of_landing.small_batches(kept.landing, *STREAMS[0]) == 0
    assert of_landing.small_batches(kept.landing, *STREAMS[1]) == 1
    compaction.compact_if_due(kept.home)
    assert not list((kept.home.landing / "till" / "rows").glob("0*"))
    kept.check()


def settled(folder: Path) -> None:
    """As if the folder's last change had been a while ago."""
    os.utime(folder, ns=(time.time_ns() - 10**10,) * 2)


def test_a_pull_opens_no_manifest_that_it_has_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    folder = kept.home.landing / "till" / "rows"
    settled(folder)
    kept.check_python()
    opened: list[str] = []
    real = landing_index.read_manifests
    monkeypatch.setattr(landing_index, "read_manifests", lambda path: opened.append(path.name) or real(path))  # type: ignore[func-returns-value]
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail(f"lists {path}"))
    assert Landing(kept.home.landing).state("till", "rows") == {"at": 1}
    monkeypatch.undo()
    monkeypatch.setattr(landing_index, "read_manifests", lambda path: opened.append(path.name) or real(path))  # type: ignore[func-returns-value]
    kept.land(2)
    assert kept.landing.state("till", "rows") == {"at": 2}
    assert len(opened) == 1


@pytest.mark.parametrize("harm", ["deleted", "overwritten", "another version's", "restored"])
def test_the_index_is_made_again_when_it_is_not_what_manifests_say(tmp_path: Path, harm: str) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    compact(kept)
    kept.land(1)
    kept.check_python()
    index = kept.home.landing / ".index.sqlite"
    if harm == "deleted":
        index.unlink()
    elif harm == "overwritten":
        index.write_bytes(b"this is no database, however long it is" * 1000)
    elif harm == "another version's":
        with landing_index.Index(kept.home.landing)._opened() as connection:
            connection.execute("pragma user_version = 99")
            connection.execute("delete from batches")
    else:  # an older landing, without its last batch
        for file in kept.landing.batches()[-1].files:
            file.unlink()
            file.with_suffix(".json").unlink()
        settled(index.parent / "till" / "rows")
        kept.manifests.pop()
        kept.records[STREAMS[0]].pop()
        kept.files.pop("file 2")
    kept.check_python()


def test_the_nightly_job_compacts_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdp_orchestration.defs import automation

    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    with dg.DagsterInstance.ephemeral() as instance:
        assert automation.compact.execute_in_process(instance=instance).success
    assert of_landing.small_batches(kept.landing, *STREAMS[0]) == 0
