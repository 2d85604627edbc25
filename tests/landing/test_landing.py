"""Batches are published whole, numbered in one sequence, and neither lost nor doubled by a kill -9."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_orchestration.kinds import SOURCES
from cdp_orchestration.landing import Landing, Page, Record

PULL = """
import sys
from pathlib import Path
from cdp_orchestration.landing import Landing
from cdp_orchestration.kinds import SOURCES
root = Path(sys.argv[1])
kind = SOURCES["files"]
source = kind(kind.Config.model_validate({"kind": "files", "path": "in", "streams": {"rows": {"glob": "*.jsonl*"}}}), root)
landing = Landing(root / "landing")
print("ready", flush=True)
landing.land("till", "rows", source.pull("rows", landing.state("till", "rows"), landing.files("till", "rows")))
"""


def rows(landing: Landing) -> list[dict[str, object]]:
    return [row for batch in landing.batches() for row in pq.read_table(batch.path).to_pylist()]


def test_a_batch_has_the_one_schema_and_its_manifest(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    page = Page([Record('{"a":1}', None, "x"), Record("{", "line 2: cut off", "x")], {"at": 2}, {"x": "f"})
    (batch,) = landing.land("till", "rows", [page])
    first, second = rows(landing)
    assert list(first) == [
        "_source", "_stream", "_batch_id", "_batch_seq", "_record_no", "_file", "_landed_at", "_payload", "_error",
    ]  # fmt: skip
    assert (first["_batch_seq"], first["_record_no"], first["_payload"], first["_error"]) == (1, 0, '{"a":1}', None)
    assert (second["_record_no"], second["_payload"], second["_error"]) == (1, "{", "line 2: cut off")
    manifest = json.loads(batch.path.with_suffix(".json").read_text())
    assert (manifest["records"], manifest["errors"], manifest["batch_seq"]) == (2, 1, 1)
    assert landing.state("till", "rows") == {"at": 2}
    assert landing.files("till", "rows") == {"x": "f"}


def test_one_sequence_over_all_sources_and_nothing_for_nothing(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for source in ("a", "b", "a"):
        landing.land(source, "rows", [Page([Record("1")], {})])
    assert landing.land("a", "rows", [Page([], {})]) == []
    assert [(batch.source, batch.batch_seq) for batch in landing.batches()] == [("a", 1), ("b", 2), ("a", 3)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 20), max_size=6), limit=st.integers(1, 25))
def test_manifests_count_what_the_files_hold(tmp_path: Path, sizes: list[int], limit: int) -> None:
    landing = Landing(tmp_path / f"{time.monotonic_ns()}")
    pages = [Page([Record(json.dumps([p, n])) for n in range(size)], {"page": p}) for p, size in enumerate(sizes)]
    batches = landing.land("till", "rows", pages, max_records=limit)
    assert sum(batch.records for batch in batches) == sum(sizes)
    assert [row["_payload"] for row in rows(landing)] == [record.payload for page in pages for record in page.records]


def test_two_processes_get_numbers_of_their_own(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cdp_orchestration.landing import Landing, Page, Record\n"
        "for n in range(10): Landing(Path(sys.argv[1])).land(sys.argv[2], 'rows', [Page([Record('1')], {})])"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("a", "b")]
    assert [one.wait(60) for one in both] == [0, 0]
    assert [batch.batch_seq for batch in Landing(tmp_path).batches()] == list(range(1, 21))


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_a_kill_loses_nothing_and_doubles_nothing(tmp_path: Path, delay: float) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jsonl").write_text("".join(f'{{"n":{n},"f":{number}}}\n' for n in range(30_000)))
    victim = subprocess.Popen([sys.executable, "-c", PULL, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n"
    time.sleep(delay)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    subprocess.run([sys.executable, "-c", PULL, str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    landing = Landing(tmp_path / "landing")
    payloads = [row["_payload"] for row in rows(landing)]
    assert len(payloads) == len(set(payloads)) == 120_000
    assert sum(batch.records for batch in landing.batches()) == 120_000
    assert not [path for path in (tmp_path / "landing" / "till" / "rows").iterdir() if path.suffix == ".tmp"]


def test_a_file_that_is_still_being_written_is_left_for_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "done.jsonl").write_text('{"n":1}\n')
    (folder / "later.jsonl.part").write_text('{"n":2}\n')
    kind = SOURCES["files"]
    config = {"kind": "files", "path": "in", "streams": {"rows": {"glob": "*.jsonl*"}}}
    source = kind(kind.Config.model_validate(config), tmp_path)
    landing = Landing(tmp_path / "landing")

    def pull() -> list[str]:
        pages = source.pull("rows", landing.state("till", "rows"), landing.files("till", "rows"))
        return [
            str(row["_payload"])
            for b in landing.land("till", "rows", pages)
            for row in pq.read_table(b.path).to_pylist()
        ]

    with open(folder / "open.jsonl", "w") as unfinished:
        unfinished.write('{"n":3}\n{"n"')
        unfinished.flush()
        assert pull() == ['{"n":1}']
        unfinished.write(":4}\n")
    assert pull() == ['{"n":3}', '{"n":4}']
    os.utime(folder / "done.jsonl")
    assert pull() == []
    (folder / "done.jsonl").write_text('{"n":1}\n{"n":5}\n')
    assert pull() == ['{"n":1}', '{"n":5}']
