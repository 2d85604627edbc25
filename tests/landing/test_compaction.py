"""Compaction changes which files hold what, and nothing else: no record is lost, doubled or moved, whenever it is killed."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_orchestration import compacted, compaction
from cdp_orchestration.landing import Landing
from tests.landing.kept import STREAMS, SYNC, Kept, compact, compacted_files, views


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
