"""History stays cheap: a pull that finds nothing and a delivery that owes nothing, after 20 and after 20,000 batches.

CPU seconds of this process, medians of REPEATS; the two sizes take turns. The long histories are as an earlier version left
them, a file a batch, which nobody compacted: what the platform does about that by itself is printed, and then what a pull
and a delivery cost. The goal is a ratio of at most 2.

    .venv/bin/python -m tests.bench.history [BATCHES] [ROWS]     ROWS: of a ledger's file, and records of a batch
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration import compaction
from cdp_orchestration.connections import connection
from cdp_orchestration.delivery.ledger import SCHEMA as LEDGER
from cdp_orchestration.delivery.ledger import Entry, Ledger, Planned
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.home import Home
from cdp_orchestration.landing import SCHEMA, Landing, Page, Record
from cdp_orchestration.pull import land_stream
from tests.delivery.test_delivery import Recorder, World

FEW = 20
REPEATS = 9
WANTED = 1000  # rows of the sync; in a long history each of them was sent again and again
SOURCE = {"kind": "files", "path": "in", "streams": {"events": {"glob": "*.jsonl"}}}


def cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def land_history(home: Home, batches: int, records: int) -> None:
    """As many batches of web.events, each of a file; the folder holds FEW files, and other files came and went."""
    folder, inbox = home.landing / "web" / "events", home.root / "in"
    inbox.mkdir(parents=True)
    for number in range(FEW):
        (inbox / f"{number:06d}.jsonl").write_text('{"n":1}\n')
    land_stream(connection("sources", "web", SOURCE, "bench"), "events", home)
    for path in Landing(home.landing).batches()[0].files:
        manifest = json.loads(path.with_suffix(".json").read_text())
        table = pq.read_table(path)
    columns = {name: [table.column(name)[0].as_py()] * records for name in SCHEMA.names}
    for seq in range(2, batches + 1):
        columns |= {
            "_batch_seq": [seq] * records,
            "_record_no": list(range(records)),
            "_batch_id": [f"{seq:032x}"] * records,
        }
        pq.write_table(pa.table(columns, SCHEMA), folder / f"{seq:010d}-{seq:032x}.parquet", compression="zstd")
        told = manifest | {
            "batch_seq": seq,
            "batch_id": f"{seq:032x}",
            "records": records,
            "files": {f"gone/{seq}.jsonl": "f"},
        }
        (folder / f"{seq:010d}-{seq:032x}.json").write_text(json.dumps(told) + "\n")


def pull(home: Home) -> None:
    batches, _ = land_stream(connection("sources", "web", SOURCE, "bench"), "events", home)
    assert not batches


def send_history(world: World, files: int, rows: int) -> None:
    """A ledger of so many files: the last FEW sent what is wanted now, earlier ones sent other values to the same people."""
    world.want({f"k{n:03d}": {"email": f"{n}@x.io", "spend_usd": 1.0} for n in range(WANTED)})
    world.deliver(Recorder(batch_size=WANTED // FEW))
    if files == FEW:
        return
    ledger = world.home.deliveries / "ledger" / "vips"
    template = pq.read_table(sorted(ledger.glob("*.parquet"))[0]).to_pylist()[0]
    for file in ledger.glob("*.parquet"):
        file.unlink()
    first = 1
    for _ in range(files - FEW):
        numbers = range(first, first + rows)
        told = [
            template | {
                "row_key": f"k{n % WANTED:03d}", "identifiers_sent": f'{{"row_key":"k{n % WANTED:03d}"}}',
                "operation": "update" if n > WANTED else "add", "payload_hash": "earlier", "idempotency_key": f"{n:032x}",
                "ledger_no": n, "batch_no": first,
            }
            for n in numbers
        ]  # fmt: skip
        pq.write_table(
            pa.Table.from_pylist(told, LEDGER), ledger / f"{first:012d}-{numbers[-1]:012d}.parquet", compression="zstd"
        )
        first += rows
    sent = Recorder(batch_size=WANTED // FEW)
    first_delivery = cpu(lambda: world.deliver(sent))
    print(f"{'the first delivery, which compacts the ledger':<58}{'':>10}{first_delivery * 1000:>10.1f}")
    assert len(sent.requests) == FEW


def deliver(world: World) -> None:
    crm = Recorder()
    world.deliver(crm)
    assert not crm.requests


def compare(what: str, few: Callable[[], object], many: Callable[[], object]) -> None:
    """A line of the report: medians of CPU milliseconds, and their ratio."""
    costs = [(cpu(few), cpu(many)) for _ in range(REPEATS)]
    small, large = (statistics.median(column) * 1000 for column in zip(*costs, strict=True))
    print(f"{what:<58}{small:>10.1f}{large:>10.1f}{large / small:>8.2f}", flush=True)


def growing(many: int) -> None:
    """What publishing a batch and writing down an attempt cost while there are few, and when there are many."""
    root = Path(tempfile.mkdtemp(prefix="cdp-bench-"))
    home = Home(root)
    ledger, landing = Ledger(home.deliveries), Landing(home.landing)
    ledger.prepare()
    costs: dict[str, list[float]] = {"publish": [], "append": []}

    def append(number: int) -> None:
        row = Planned(0, "add", f"k{number}", None, "{}", "{}", "", None, f"i{number}", 1)
        ledger.append("vips", "run", [Entry(row, "accepted", "", "")], Place("crm", "here"))
        ledger.compact_if_due("vips")

    for number in range(many):
        costs["publish"].append(cpu(lambda: landing.land("web", "events", [Page([Record("{}")], {})])))
        costs["append"].append(cpu(lambda n=number: append(n)))  # type: ignore[misc]
        if number % 200 == 199:  # a pass: it builds
            costs["publish"][-1] += cpu(lambda: compaction.compact_if_due(home))
    for name, each in costs.items():
        tenth = many // 10
        first, last = (1000 * sum(part) / tenth for part in (each[:tenth], each[-tenth:]))
        what = f"to {name} one, work on all earlier ones included (last of {many:,})"
        print(f"{what:<58}{first:>10.1f}{last:>10.1f}{last / first:>8.2f}", flush=True)
    shutil.rmtree(root)


def main(many: int, rows: int) -> None:
    root = Path(tempfile.mkdtemp(prefix="cdp-bench-"))
    print(f"History stays cheap: {FEW} and {many:,} batches of {rows} records, and ledger files of {rows} rows")
    print(f"{'CPU, milliseconds':<58}{FEW:>10}{many:>10,}{'ratio':>8}")
    homes = {count: Home(root / f"landing-{count}") for count in (FEW, many)}
    worlds = {count: World(root / f"ledger-{count}") for count in (FEW, many)}
    for count in (FEW, many):
        land_history(homes[count], count, rows)
        send_history(worlds[count], count, rows)
    time.sleep(3)  # until the folders' times can be told from now
    compare("a pull that finds nothing", lambda: pull(homes[FEW]), lambda: pull(homes[many]))
    built = [cpu(lambda home=homes[count]: compaction.compact_if_due(home)) for count in (FEW, many)]  # type: ignore[misc]
    print(f"{'what a build does once about small batches':<58}{built[0] * 1000:>10.1f}{built[1] * 1000:>10.1f}")
    time.sleep(3)
    compare("a pull that finds nothing, after that build", lambda: pull(homes[FEW]), lambda: pull(homes[many]))
    compare(
        "a delivery that owes nothing, before the next build",
        lambda: deliver(worlds[FEW]),
        lambda: deliver(worlds[many]),
    )
    for world in worlds.values():
        compaction.compact_if_due(world.home)
    compare("a delivery that owes nothing", lambda: deliver(worlds[FEW]), lambda: deliver(worlds[many]))
    shutil.rmtree(root)
    growing(min(many, 4000))


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], *["20000", "10"][len(sys.argv) - 1 :]]))
