"""When compaction happens by itself, and when the files that it replaced go: never under whoever may still read them."""

from pathlib import Path

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from cdp_orchestration import compacted, compaction
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.landing import compaction as of_landing
from tests.landing.kept import STREAMS, SYNC, Kept, compact, views


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


def test_the_nightly_job_compacts_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdp_orchestration.defs import automation

    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    with dg.DagsterInstance.ephemeral() as instance:
        assert automation.compact.execute_in_process(instance=instance).success
    assert of_landing.small_batches(kept.landing, *STREAMS[0]) == 0
