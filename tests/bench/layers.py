"""Every layer of a full build and of a 1 % increment: wall, CPU seconds and peak memory, beside a floor of the same run.

The floor is DuckDB reading and de-duplicating the landed Parquet that the step reads. dbt's own start is measured once
and taken off each layer, so that a layer's figures are its SQL.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.landing import Landing
from tests.bench.events import pages
from tests.harness import PROJECT, Platform

LAYERS = ["1_staging", "2_identity", "3_profiles", "4_attributes", "5_audiences", "6_activation"]
STREAMS = [("web", "events"), ("inbox", "messages"), ("shop", "orders"), ("shop", "refunds"), ("crm", "customers"), ("email", "engagement")]  # fmt: skip


@dataclass
class Cost:
    wall: float
    cpu: float
    megabytes: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(max(self.wall - other.wall, 0), max(self.cpu - other.cpu, 0), self.megabytes)


def measured(command: list[str], home: Path) -> Cost:
    """One child process, by the kernel's own accounting."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=PROJECT, env=Platform(home).environment(CDP_AS_OF="2026-11-01"),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    output = child.stdout.read() if child.stdout else ""
    _, code, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(code)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-4000:]}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def dbt_run(home: Path, *select: str) -> list[str]:
    return [str(Path(sys.executable).with_name("dbt")), "--quiet", "run", "--profiles-dir", "profiles",
            "--target-path", str(home / "dbt"), "--log-path", str(home / "dbt"), "--select", *select]  # fmt: skip


def floor(home: Path, after: int) -> Cost:
    """Reading and de-duplicating the Parquet of the batches after `after`."""
    sql = (
        "select count(*) from (select json_extract_string(_payload, '$.messageId') as id, any_value(_payload) "
        f"from read_parquet('{home}/landing/web/events/*.parquet') where _batch_seq > {after} group by id)"
    )
    return measured([sys.executable, "-c", f"import duckdb; duckdb.connect().execute({sql!r}).fetchall()"], home)


def report(title: str, home: Path, after: int, start: Cost) -> float:
    ground = floor(home, after)
    print(f"\n{title}\n{'layer':<16}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'CPU / floor':>13}")
    print(f"{'floor':<16}{ground.wall:>9.2f}{ground.cpu:>9.2f}{ground.megabytes:>9.0f}{1:>13.2f}")
    wall = cpu = 0.0
    for layer in LAYERS:
        cost = measured(dbt_run(home, layer), home) - start
        wall, cpu = wall + cost.wall, cpu + cost.cpu
        print(
            f"{layer:<16}{cost.wall:>9.2f}{cost.cpu:>9.2f}{cost.megabytes:>9.0f}{cost.cpu / ground.cpu:>13.2f}",
            flush=True,
        )
    print(f"{'all':<16}{wall:>9.2f}{cpu:>9.2f}{'':>9}{cpu / ground.cpu:>13.2f}")
    return cpu


def main(total: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder:
        home = Path(folder)
        landing = Landing(home / "landing")
        for source, stream in STREAMS:
            landing.prepare(source, stream)
        Ledger(home / "deliveries").prepare()
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        landing.land("web", "events", pages(total, 0, total * 99 // 100, specials=True), max_records=10**9)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{total:,} events generated and landed in {time.monotonic() - started:.1f} s wall, {cpu:.1f} s CPU")
        measured([*dbt_run(home, "nothing_of_this_name")], home)  # parses; the next one is dbt's bare start
        start = measured(dbt_run(home, "nothing_of_this_name"), home)
        print(f"dbt's own start: {start.wall:.2f} s wall, {start.cpu:.2f} s CPU (taken off below)")
        full = report(f"Full build of {total * 99 // 100:,} events", home, 0, start)
        landing.land("web", "events", pages(total, total * 99 // 100, total), max_records=10**9)
        increment = report(f"Increment of {total - total * 99 // 100:,} events (1 %)", home, 1, start)
        print(f"\nThe increment took {increment / full:.1%} of the CPU of the full build.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
