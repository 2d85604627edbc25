"""Runs that meet: two at once queue, and a killed one holds nobody up. One home, in the order of the file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.dagster.test_dagster import IN_ONE_RUN, ME, ORDER
from tests.support.harness import PROJECT, Platform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = Platform(tmp_path_factory.mktemp("runs"))
    platform.drop("a.jsonl", [ME, ORDER])
    platform.cdp("check")  # one parse for both
    return platform


def test_two_passes_at_once_queue(platform: Platform) -> None:
    command = [sys.executable, "-m", "cdp_orchestration.cli", "run"]
    both = [
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=platform.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    assert any("waiting" in output for output in outputs)
    assert platform.rows("select count(*) from staging.messages") == [(2,)]
    assert platform.rows("select count(*) from activation.deliveries") == [(1,)]


def test_runs_of_the_same_warehouse_queue_in_dagster_too(platform: Platform) -> None:
    """Two runs that know nothing of cdp's own lock: a schedule's and a sensor's, say."""
    code = IN_ONE_RUN.format(job="build")
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, env=platform.environment(), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    outputs = [one.communicate(timeout=300) for one in both]
    assert all("SUCCESS True" in out for out, _ in outputs), outputs


def test_a_killed_run_does_not_hold_the_next_one_up(platform: Platform) -> None:
    platform.drop("b.jsonl", [{"type": "page", "userId": "u1", "messageId": "later"}])
    victim = subprocess.Popen(
        [sys.executable, "-c", IN_ONE_RUN.format(job="build")], cwd=PROJECT, env=platform.environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not _dbt_children(victim.pid):
        time.sleep(0.05)
    assert _dbt_children(victim.pid), "the build never started dbt"
    time.sleep(1.0)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    done = platform.run()
    assert "killed run" in done.stdout
    assert platform.rows("select count(*) from staging.messages where message_id = 'later'") == [(1,)]
    assert platform.rows("select count(*) from activation.deliveries where status = 'accepted'") == [(1,)]


def _dbt_children(pid: int) -> list[int]:
    found = []
    for task in Path("/proc").glob("[0-9]*"):
        try:
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid and b"dbt\0build" in (task / "cmdline").read_bytes():
                found.append(int(task.name))
        except (OSError, IndexError):
            continue
    return found
