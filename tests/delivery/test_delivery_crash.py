"""kill -9 in the middle of a delivery, for real: another process, a receiver over HTTP, another run."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from cdp_orchestration.demo.receiver import Receiver
from cdp_orchestration.destinations.base import Operation, Outcome
from cdp_orchestration.destinations.file_drop import FileDrop, FileDropConfig
from cdp_orchestration.destinations.webhook import Webhook, WebhookConfig
from tests.delivery.test_delivery import Recorder, World, accept, people
from tests.support.harness import PROJECT

BATCH, ROWS, KILLS, TOKEN = 5, 150, 4, "t0ken"

PROCESS = """
import logging, sys
from pathlib import Path
from cdp_orchestration.delivery.deliver import deliver
from cdp_orchestration.destinations.webhook import Webhook, WebhookConfig
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Warehouse
from tests.delivery.test_delivery import vips

root, url, run_id = sys.argv[1:]
logging.basicConfig(stream=sys.stdout)
home = Home(Path(root))
webhook = Webhook(WebhookConfig(kind="webhook", url=url, token="t0ken", batch_size=5), home.root)
deliver(vips(), webhook, Warehouse(home), home, run_id)
"""


def start(world: World, url: str, run_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(world.root), url, run_id],
        cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def kill_after(process: subprocess.Popen[str], receiver: Receiver, batches: int, pause: float) -> None:
    """kill -9 once the receiver has read that many more batches and a moment has passed."""
    until, deadline = len(receiver.log) + batches, time.monotonic() + 30
    while len(receiver.log) < until and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_killed_at_any_moment_nothing_is_lost_and_one_batch_repeated(tmp_path: Path) -> None:
    chance, world = random.Random(), World(tmp_path / "home")
    wanted = people(ROWS)
    world.want(wanted)
    with Receiver(tmp_path / "crm.json", TOKEN) as receiver:
        receiver.delay = 0.004
        for kill in range(KILLS):
            kill_after(
                start(world, receiver.url, f"killed_{kill}"), receiver, chance.randint(1, 6), chance.random() / 50
            )
        seen = len(receiver.log)
        last = start(world, receiver.url, "last")
        output, _ = last.communicate(timeout=60)
        assert last.returncode == 0, output
        assert receiver.held("vips") == wanted
        # At most the batch that was in flight at each kill came twice.
        assert receiver.stats()["repeated"] <= KILLS * BATCH
        sent = Counter(o["idempotency_key"] for body in receiver.log for o in body["operations"])
        assert len(sent) == ROWS
        accepted = [row for row in world.ledger() if row["status"] == "accepted"]
        assert Counter(row["row_key"] for row in accepted) == Counter(dict.fromkeys(wanted, 1))
        early = {row["idempotency_key"] for row in accepted if row["run_id"] != "last"}
        late = {o["idempotency_key"] for body in receiver.log[seen:] for o in body["operations"]}
        assert not early & late, "what the ledger shows accepted is not sent again"
        requests = receiver.stats()["requests"]
        start(world, receiver.url, "again").communicate(timeout=60)
        assert receiver.stats()["requests"] == requests


def test_deliveries_of_one_sync_take_turns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path / "home")
    world.want(people(3))
    entered, go_on = threading.Event(), threading.Event()

    def slow(operations: list[Operation]) -> list[Outcome]:
        entered.set()
        assert go_on.wait(10)
        return accept(operations)

    first, second = Recorder(slow), Recorder()
    threads = [threading.Thread(target=world.deliver, args=(first,))]
    threads[0].start()
    assert entered.wait(10)
    threads.append(threading.Thread(target=world.deliver, args=(second,)))
    threads[1].start()
    deadline = time.monotonic() + 10
    while len(caplog.messages) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "another delivery" in caplog.messages[1]
    assert second.requests == []
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(first.requests) == 1
    assert second.requests == [], "the first delivery sent all of it"


def test_two_processes_take_turns(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    world.want(people(40))
    with Receiver(tmp_path / "crm.json", TOKEN) as receiver:
        receiver.delay = 0.02
        both = [start(world, receiver.url, f"run_{n}") for n in range(2)]
        outputs = [process.communicate(timeout=60)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        assert (receiver.stats()["operations"], receiver.stats()["repeated"]) == (40, 0)
    runs = [row["run_id"] for row in world.ledger()]
    assert len(runs) == 40
    assert len(set(runs)) == 1, "the one that waited found nothing left to send"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_is_dropped_once_whenever_the_process_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Dead(BaseException):
        pass

    real = os.replace

    def die(source: Path, target: Path) -> None:
        dropped = Path(target).parent == world.home.drop
        if not dropped or moment == "after":
            real(source, target)
        if dropped:
            raise Dead

    world = World(tmp_path / "home")
    world.want(people(3))
    drop = FileDrop(FileDropConfig(kind="file_drop"), world.home.root)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", die)
        with pytest.raises(Dead):
            world.deliver(drop)
    assert len(list(world.home.drop.glob("vips-*"))) == (1 if moment == "after" else 0)
    world.deliver(drop)
    [file] = list(world.home.drop.iterdir())
    assert len(file.read_text().splitlines()) == 3


def test_a_webhook_delivery_end_to_end(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    with Receiver(tmp_path / "crm.json", TOKEN) as receiver:
        crm = Webhook(WebhookConfig(kind="webhook", url=receiver.url, token=TOKEN, batch_size=2), world.home.root)
        world.want({**people(3), "bad": {"email": "nobody", "spend_usd": 1.0}})
        first = world.deliver(crm)
        assert (first.accepted, first.refused) == (Counter(add=3), Counter(add=1))
        assert first.problems == ["refused: add of row_key 'bad' (attempt 1): refused email has no @"]
        world.want({"k001": {"email": "1@x.io", "spend_usd": 8.0}, "bad": {"email": "found@x.io", "spend_usd": 1.0}})
        second = world.deliver(crm)
        assert second.accepted == Counter(remove=2, update=1, add=1)
        assert receiver.held("vips") == {
            "k001": {"email": "1@x.io", "spend_usd": 8.0},
            "bad": {"email": "found@x.io", "spend_usd": 1.0},
        }
        requests = receiver.stats()["requests"]
        assert world.deliver(crm).planned == {"add": 0, "update": 0, "remove": 0}
        assert receiver.stats()["requests"] == requests
        crm.close()
