"""Every layer of a full build and of a 1 % increment: wall, CPU seconds and peak memory, beside a floor of the same run.

The floor is the same engine reading and de-duplicating the landed records of the full build. dbt's own start is measured
once and taken off each layer, and the start of Python and the engine off the floor, so that all figures are of SQL. At the end
stand the ratios that the project holds itself to. Identity's hardest cases (a kiosk with 5,000 e-mails, a chain of 1,000
identifiers) come after that, as a batch of their own.

On PostgreSQL (`make bench TARGET=postgres`, with PGHOST, PGUSER and so on; the server on this machine, doing nothing else) a
database is made for the run and dropped after it, and a line is added for loading what landed. CPU there is that of the
child process and of the whole server: what /proc says of the postmaster, of the children that it has outlived (cutime,
cstime) and of those alive. Peak memory is the child's alone.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.warehouse import Warehouse, target
from tests.bench.events import pages
from tests.conftest import connect
from tests.support.harness import PROJECT, Platform

LAYERS = ["1_staging", "2_identity", "3_profiles", "4_attributes", "5_audiences", "6_activation"]
STREAMS = [("web", "events"), ("inbox", "messages"), ("shop", "orders"), ("shop", "refunds"), ("crm", "customers"), ("email", "engagement")]  # fmt: skip


ENGINE: dict[str, str] = {}  # CDP_TARGET and its variables; nothing: DuckDB


@dataclass
class Cost:
    wall: float
    cpu: float
    megabytes: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(max(self.wall - other.wall, 0), max(self.cpu - other.cpu, 0), self.megabytes)


def measured(command: list[str], home: Path) -> Cost:
    """One child process, by the kernel's own accounting."""
    started, served = time.monotonic(), server_cpu()
    environment = Platform(home, engine=ENGINE).environment(CDP_AS_OF="2026-11-01")
    child = subprocess.Popen(command, cwd=PROJECT, env=environment,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    output = child.stdout.read() if child.stdout else ""
    _, code, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(code)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output[-4000:]}")
    cpu = usage.ru_utime + usage.ru_stime + server_cpu() - served
    return Cost(time.monotonic() - started, cpu, usage.ru_maxrss / 1024)


def server_cpu() -> float:
    """CPU seconds of the PostgreSQL server since it started; 0 where there is none."""
    if not ENGINE:
        return 0.0
    with closing(connect(ENGINE, ENGINE["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        [(backend,)] = cursor.fetchall()
        try:
            postmaster = int(_stat(backend)[1])
        except OSError:
            raise SystemExit(
                "The server's CPU time cannot be read: run the benchmark on the server's machine."
            ) from None
        ticks = sum(map(int, _stat(postmaster)[11:15]))
        for task in Path("/proc").glob("[0-9]*"):
            try:
                fields = _stat(int(task.name))
            except OSError:
                continue
            if int(fields[1]) == postmaster:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """/proc/<pid>/stat from the state on: [1] parent, [11:15] utime, stime, cutime, cstime."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def dbt_run(home: Path, *select: str) -> list[str]:
    return [str(Path(sys.executable).with_name("dbt")), "--quiet", "run", "--profiles-dir", "profiles",
            "--target-path", str(home / "dbt"), "--log-path", str(home / "dbt"), "--select", *select]  # fmt: skip


def load(home: Path) -> list[str]:
    code = "from pathlib import Path; from cdp_orchestration.home import Home; from cdp_orchestration.warehouse import Warehouse; "
    return [sys.executable, "-c", f"{code}Warehouse(Home(Path({str(home)!r}))).load({STREAMS!r})"]


def floor(home: Path) -> Cost:
    """Reading and de-duplicating the landed records, without the start of Python and the engine."""
    connected = (
        "import psycopg2; psycopg2.connect()" if ENGINE else "import duckdb; duckdb.connect().execute('select 1')"
    )
    return _floor(home) - measured([sys.executable, "-c", connected], home)


def _floor(home: Path) -> Cost:
    if ENGINE:
        sql = (
            "select count(*) from (select cast(_payload as json) ->> 'messageId' as id, min(_payload) "
            "from landing.web__events group by 1) as messages"
        )
        code = f"import psycopg2; psycopg2.connect().cursor().execute({sql!r})"
        return measured([sys.executable, "-c", code], home)
    sql = (
        "select count(*) from (select json_extract_string(_payload, '$.messageId') as id, any_value(_payload) "
        f"from read_parquet('{home}/landing/web/events/*.parquet') group by id)"
    )
    return measured([sys.executable, "-c", f"import duckdb; duckdb.connect().execute({sql!r}).fetchall()"], home)


@dataclass
class Report:
    """What a build cost: the floor, and each layer."""

    floor: Cost
    layers: dict[str, Cost]

    @property
    def cpu(self) -> float:
        return sum(cost.cpu for cost in self.layers.values())

    def ratio(self, *layers: str) -> float:
        return sum(self.layers[layer].cpu for layer in layers) / self.floor.cpu

    @property
    def megabytes(self) -> float:
        return max(cost.megabytes for cost in self.layers.values())


def report(title: str, home: Path, start: Cost, ground: Cost | None = None) -> Report:
    """Builds and prints; `ground` is the floor of another report: that of a small batch is too small to measure."""
    loaded = measured(load(home), home) if ENGINE else None
    ground = ground or floor(home)
    print(f"\n{title}\n{'layer':<16}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'CPU / floor':>13}")
    print(f"{'floor':<16}{ground.wall:>9.2f}{ground.cpu:>9.2f}{ground.megabytes:>9.0f}{1:>13.2f}")
    costs = {}
    for layer in ["load", *LAYERS] if loaded else LAYERS:
        cost = loaded - measured(load(home), home) if layer == "load" else measured(dbt_run(home, layer), home) - start
        costs[layer] = cost
        print(
            f"{layer:<16}{cost.wall:>9.2f}{cost.cpu:>9.2f}{cost.megabytes:>9.0f}{cost.cpu / ground.cpu:>13.2f}",
            flush=True,
        )
    done = Report(ground, costs)
    wall = sum(cost.wall for cost in costs.values())
    print(f"{'all':<16}{wall:>9.2f}{done.cpu:>9.2f}{done.megabytes:>9.0f}{done.cpu / ground.cpu:>13.2f}")
    return done


def ratios(full: Report, increment: Report) -> str:
    """The ratios of one run, each beside its target."""
    lines = [
        ("staging / floor", f"{full.ratio('1_staging'):.1f}", "8"),
        ("identity / floor", f"{full.ratio('2_identity'):.1f}", "6"),
        ("events and the rest / floor", f"{full.ratio(*LAYERS[2:]):.1f}", "8"),
        ("whole full build / floor", f"{full.cpu / full.floor.cpu:.1f}", "25"),
        ("1 % new / full build", f"{increment.cpu / full.cpu:.1%}", "10 % (at 10M)"),
        ("peak memory, MB", f"{full.megabytes:.0f}", "1,500 at 1M, 6,000 at 10M"),
    ]
    return "\n".join([f"{'':<28}{'now':>9}  at most"] + [f"{name:<28}{now:>9}  {most}" for name, now, most in lines])


@contextmanager
def engine(home: Path) -> Iterator[None]:
    """The engine of CDP_TARGET, with a database of its own where it has databases."""
    try:
        Warehouse(Home(home)).configured()
        if target() == "duckdb":
            yield
            return
        Warehouse(Home(home)).check()
    except CdpError as error:
        raise SystemExit(str(error)) from None
    server = {name: os.environ.get(name, "") for name in ("PGHOST", "PGUSER", "PGPASSWORD")}
    server |= {"PGPORT": os.environ.get("PGPORT") or "5432"}
    name = f"cdp_bench_{uuid.uuid4().hex[:8]}"
    with closing(connect(server, os.environ["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute(f"create database {name} template template0 encoding 'UTF8'")
        ENGINE.update(server, CDP_TARGET=target(), PGDATABASE=name)
        try:
            yield
        finally:
            cursor.execute(f"drop database {name} with (force)")
            ENGINE.clear()


def main(total: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder, engine(Path(folder)):
        home = Path(folder)
        landing = Landing(home / "landing")
        for source, stream in STREAMS:
            landing.prepare(source, stream)
        Ledger(home / "deliveries").prepare()
        if ENGINE:
            measured(load(home), home)  # nothing yet, but the tables that dbt's sources are
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        landing.land("web", "events", pages(total, 0, total * 99 // 100), max_records=10**9)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{total:,} events generated and landed in {time.monotonic() - started:.1f} s wall, {cpu:.1f} s CPU")
        measured([*dbt_run(home, "nothing_of_this_name")], home)  # parses; the next one is dbt's bare start
        measured(
            [word if word != "run" else "seed" for word in dbt_run(home, "identity_overrides", "exchange_rates")], home
        )
        start = measured(dbt_run(home, "nothing_of_this_name"), home)
        print(f"dbt's own start: {start.wall:.2f} s wall, {start.cpu:.2f} s CPU (taken off below)")
        full = report(f"Full build of {total * 99 // 100:,} events", home, start)
        landing.land("web", "events", pages(total, total * 99 // 100, total), max_records=10**9)
        increment = report(f"Increment of {total - total * 99 // 100:,} events (1 %)", home, start, full.floor)
        print(f"\nRatios of this run\n{ratios(full, increment)}")
        landing.land("web", "events", pages(total, 0, 0, specials=True), max_records=10**9)
        special = report("A kiosk and a chain of 1,000, in a batch of their own", home, start, full.floor)
        print(f"\nThey took {special.cpu / full.cpu:.1%} of the CPU of the full build.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
