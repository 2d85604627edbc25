"""The DuckDB file of a home: who may hold it, and what is said where it cannot be opened or written."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from cdp_orchestration.errors import NeedsAPerson, TryAgain, disk_full, is_disk_full
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import duckdb as engine
from tests.support import parsed
from tests.support.harness import Platform

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    duckdb.connect(str(tmp_path / "warehouse.duckdb")).close()
    return Home(tmp_path)


@contextmanager
def a_client(file: Path) -> Iterator["subprocess.Popen[str]"]:
    """A read-only client of somebody else's; it lets go when its input ends."""
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        assert client.stdout.readline() == "held\n"
        try:
            yield client
        finally:
            client.kill()


def test_a_writer_waits_for_a_client_that_has_the_file_open(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with a_client(home.warehouse) as client:

        def hear(text: str) -> None:
            said.append(text)
            client.kill()  # the person closes the browser
            client.wait()

        monkeypatch.setattr(engine.log, "info", hear)
        with engine.DuckDB(home).writing(), duckdb.connect(str(home.warehouse)) as connection:
            connection.execute("create table written as select 1 as one")
        assert [f"(process {client.pid})" in text for text in said] == [True]


def test_a_client_that_stays_is_named_in_one_sentence(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.0)
    with (
        a_client(home.warehouse) as client,
        pytest.raises(TryAgain) as told,
        engine.DuckDB(home).writing(),
    ):
        pass
    assert f"(process {client.pid})" in str(told.value)
    assert "run again" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("read", [True, False], ids=["a reader", "a writer"])
def test_a_file_that_is_no_warehouse_is_told_with_the_remedy(home: Home, read: bool) -> None:
    home.warehouse.write_bytes(b"what a restore left behind" * 1000)
    warehouse = engine.DuckDB(home)
    with pytest.raises(NeedsAPerson, match="cdp reset"), warehouse.reading() if read else warehouse.writing():
        pass


def test_a_full_disk_is_known_however_it_is_said(tmp_path: Path) -> None:
    failed = RuntimeError("the step failed")
    failed.__cause__ = OSError(28, "No space left on device")
    assert is_disk_full(failed)
    assert is_disk_full("sqlite3.OperationalError: database or disk is full")
    assert is_disk_full('IO Error: Could not write file "x.duckdb": No space left on device')
    assert not is_disk_full(OSError(13, "Permission denied"))
    assert str(tmp_path) in str(disk_full(tmp_path))


def test_a_full_disk_is_said_in_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    """On a disk with 100 kB left, a run ends with one sentence and no stack trace."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        platform = Platform(tmp_path)
        platform.drop("first.jsonl", [{"type": "identify", "userId": "ann", "timestamp": "2026-10-01T00:00:00Z"}])
        parsed.start_from_it(tmp_path, platform.project, platform.environment())
        (tmp_path / "filler").write_bytes(bytes(shutil.disk_usage(tmp_path).free - 100_000))
        done = platform.python("-m", "cdp_orchestration.cli", "run")
        assert done.returncode == 1
        assert "is full. Make room and run again" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert (tmp_path / "inbox" / "first.jsonl").exists()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
