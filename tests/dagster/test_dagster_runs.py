"""Runs that meet: two at once queue, and a killed one holds nobody up. One home, in the order of the file."""

import time
from pathlib import Path

import pytest

from tests.support.harness import Platform
from tests.support.in_dagster import ME, ORDER, steps


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = Platform(tmp_path_factory.mktemp("runs"))
    platform.drop("a.jsonl", [ME, ORDER])
    platform.cdp("check")  # one parse for both
    return platform


def test_two_passes_at_once_queue(platform: Platform) -> None:
    both = [platform.started("-m", "cdp_orchestration.cli", "run") for _ in range(2)]
    ended = [one.wait() for one in both]
    assert [one.returncode for one in ended] == [0, 0], ended
    assert any("waiting" in one.stdout + one.stderr for one in ended)
    assert platform.rows("select count(*) from staging.messages") == [(2,)]
    assert platform.rows("select count(*) from activation.deliveries") == [(1,)]


def test_runs_of_the_same_warehouse_queue_in_dagster_too(platform: Platform) -> None:
    """Two runs that know nothing of cdp's own lock: a schedule's and a sensor's, say. They build one layer."""
    both = [platform.started("-c", steps("build", group="staging")) for _ in range(2)]
    ended = [one.wait() for one in both]
    assert all("SUCCESS True" in one.stdout for one in ended), ended
    assert all("STARTED warehouse" in one.stdout for one in ended), ended


def test_a_killed_run_does_not_hold_the_next_one_up(platform: Platform) -> None:
    platform.drop("b.jsonl", [{"type": "page", "userId": "u1", "messageId": "later"}])
    victim = platform.started("-c", steps("build"))
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and victim.poll() is None and not _dbt_children(victim.pid):
        time.sleep(0.05)
    assert _dbt_children(victim.pid), "the build never started dbt"
    time.sleep(1.0)
    victim.kill()
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
