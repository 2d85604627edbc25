"""What a pass costs in the demo's home, with nothing new and with 1 % new: beside `dbt build` alone, beside the bare statements
of that build, and beside an earlier commit.

`python -m tests.bench.passes [COMMIT]`. All figures are CPU seconds of the process and its children, medians of 3 rounds in which
every case has its turn; a case starts from a copy of the same home. COMMIT (93c4165 unless told) is unpacked from git and builds a
home of its own; without git, or without that commit, its lines are left out.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cdp_orchestration.demo.receiver import Receiver
from tests.support.harness import PROJECT, Platform

BEFORE = "93c4165"
NODES_BEFORE = 190  # models and tests of the demo at that commit: what a build's cost is divided by
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MORE = 200
DAY = "2026-11-01"


@dataclass
class Cost:
    wall: float
    cpu: float


@dataclass
class Checkout:
    """A version of the project, with a demo home that it built."""

    project: Path
    home: Path
    rules: str = ""  # the fingerprint that its build recorded; by hand, dbt must be told

    def run(self, home: Path, *arguments: str, **more: str) -> Cost:
        # A person's whole environment: dbt goes through it for every line that it logs.
        person = {
            name: value for name, value in os.environ.items() if not name.startswith(("CDP_", "CRM_", "DAGSTER_HOME"))
        }
        environment = person | Platform(home, self.project).environment(
            CDP_DEMO_HOME=str(home), CDP_AS_OF=f"{DAY} 00:00:00.000000", DBT_TARGET_PATH=str(home / "dbt"),
            CDP_RULES_FINGERPRINT=self.rules,
            DBT_LOG_PATH=str(home / "logs"), DBT_PROFILES_DIR=str(self.project / "profiles"), **more,
        )  # fmt: skip
        started = time.monotonic()
        child = subprocess.Popen([sys.executable, *arguments], cwd=self.project, env=environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
        output = child.stdout.read() if child.stdout else ""
        _, code, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(code)
        if child.returncode:
            raise SystemExit(f"{' '.join(arguments)} in {home} failed:\n{output[-4000:]}")
        return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime)


def cdp(*arguments: str) -> list[str]:
    return ["-m", "cdp_orchestration.cli", *arguments]


def dbt(*arguments: str) -> list[str]:
    return ["-c", "from dbt.cli.main import cli; cli(prog_name='dbt')", "--quiet", *arguments, "--exclude-resource-type", "unit_test"]  # fmt: skip


STATEMENTS = """
import json, sys
from pathlib import Path
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper
from dbt.cli.main import dbtRunner
kept, execute = [], DuckDBCursorWrapper.execute
def keep(self, sql, bindings=None):
    kept.append([sql, list(bindings or [])])
    return execute(self, sql, bindings)
DuckDBCursorWrapper.execute = keep
assert dbtRunner().invoke(["--quiet", "build", "--exclude-resource-type", "unit_test"]).success
Path(sys.argv[1]).write_text(json.dumps(kept))
"""
REPLAY = """
import json, os, re, sys, duckdb
connection = duckdb.connect(os.environ["CDP_HOME"] + "/warehouse.duckdb")
connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false; set checkpoint_threshold = '512MB'")
for sql, bindings in json.load(open(sys.argv[1])):
    # dbt's nodes have a cursor each, and its transactions belong to them; here each statement is one.
    if not re.sub(r"/[*].*?[*]/", "", sql, flags=re.S).strip().lower().rstrip(";").startswith(("begin", "commit", "rollback")):
        connection.execute(sql, bindings).fetchall()
connection.close()
"""
IMPORTS = "from cdp_orchestration.cli.start import ready_home; ready_home(); from cdp_orchestration.components.run_pass import load_definitions; load_definitions()"


def land_one_percent(home: Path, records: int) -> None:
    """As many new messages in the inbox as 1 % of those in the warehouse."""
    lines = (
        {"type": "track", "event": "Trip Searched", "messageId": f"new-{number}", "anonymousId": f"new-{number % 97}",
         "timestamp": "2026-10-31T10:00:00Z", "properties": {"query": "Lisbon"}}
        for number in range(records)
    )  # fmt: skip
    (home / "inbox").mkdir(exist_ok=True)
    (home / "inbox" / "more.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


class Rounds:
    """Costs of named cases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.costs: dict[str, list[Cost]] = defaultdict(list)

    def take(
        self, name: str, checkout: Checkout, *arguments: str, change: Callable[[Path], None] | None = None, **more: str
    ) -> None:
        home = self.folder / "case"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(checkout.home, home)
        # dbt keeps a parse for the very path of a warehouse: one unmeasured parse for this copy's.
        checkout.run(home, *dbt("parse")[:-2])
        if change:
            change(home)
        self.costs[name].append(checkout.run(home, *arguments, **more))

    def cpu(self, name: str) -> float:
        return statistics.median(cost.cpu for cost in self.costs[name])

    def show(self, name: str) -> None:
        wall = statistics.median(cost.wall for cost in self.costs[name])
        print(f"{name:<52}{wall:>8.2f}{self.cpu(name):>8.2f}", flush=True)


def unpacked(commit: str, folder: Path) -> Checkout | None:
    project = folder / "before"
    project.mkdir()
    packed = subprocess.run(["git", "archive", commit], cwd=PROJECT, capture_output=True)
    if packed.returncode:
        return None
    subprocess.run(["tar", "-x", "-C", str(project)], input=packed.stdout, check=True)
    return Checkout(project, folder / "home_before")


def with_more_models(folder: Path) -> Path:
    """The project with 200 further trivial models, two tests each."""
    project = folder / "more"
    shutil.copytree(
        PROJECT,
        project,
        ignore=shutil.ignore_patterns(".venv*", "data", ".git", "target", "logs", ".*_cache", ".hypothesis"),
    )
    layer = project / "dbt_project" / "models" / "4_attributes"
    for number in range(MORE):
        (layer / f"more_{number}.sql").write_text("select 1 as profile_id")
        (layer / f"more_{number}.yml").write_text(
            f"version: 2\nmodels:\n  - name: more_{number}\n    description: One.\n    columns:\n"
            "      - {name: profile_id, description: One., data_tests: [unique, not_null]}\n"
        )
    return project


def main(commit: str) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cdp-bench-")))
        here = Checkout(PROJECT, folder / "home")
        before = unpacked(commit, folder)
        for checkout in filter(None, [here, before]):
            checkout.run(checkout.home, *cdp("demo"))
            checkout.rules = Platform(checkout.home).rows("select rules_fingerprint from staging.builds")[0][0]
        messages = Platform(here.home).rows("select count(*) from staging.messages")[0][0]

        def one_percent(home: Path) -> None:
            land_one_percent(home, messages // 100)

        def landed(home: Path) -> None:
            one_percent(home)
            code = "from cdp_orchestration.connections import connections; from cdp_orchestration.home import current_home; " \
                   "from cdp_orchestration.pull import land_stream; land_stream(connections('sources')['inbox'], 'messages', current_home())"  # fmt: skip
            here.run(home, "-c", code)

        receiver = stack.enter_context(Receiver(folder / "receiver.json", "token"))
        crm = {"CRM_WEBHOOK_URL": receiver.url, "CRM_WEBHOOK_TOKEN": "token", "CRM_WEBHOOK_ACCOUNT": "demo"}
        forced = cdp("run", "--as-of", DAY, "--force")
        kept = str(folder / "statements.json")
        rounds = Rounds(folder)
        for _ in range(ROUNDS):
            rounds.take("dbt build, nothing new", here, *dbt("build"))
            rounds.take("pass, nothing new", here, *forced, **crm)
            rounds.take("nothing to do", here, *cdp("run", "--as-of", DAY), **crm)
            rounds.take("  imports and definitions", here, "-c", IMPORTS)
            rounds.take("  dbt's start", here, *dbt("build", "--select", "tag:none"))
            rounds.take("  (its statements, captured)", here, "-c", STATEMENTS, kept)
            rounds.take("bare statements, nothing new", here, "-c", REPLAY, kept)
            rounds.take("dbt build, 1 % new", here, *dbt("build"), change=landed)
            rounds.take("pass, 1 % new", here, *forced, change=one_percent, **crm)
            if before:
                rounds.take(f"dbt build of {commit}, nothing new", before, *dbt("build"))
                rounds.take(f"  dbt's start of {commit}", before, *dbt("build", "--select", "tag:none"))
                rounds.take(f"pass of {commit}, nothing new", before, *cdp("run", "--as-of", DAY), **crm)
        more = Checkout(with_more_models(folder), folder / "home_more", here.rules)
        shutil.copytree(here.home, more.home)
        more.run(more.home, *forced, **crm)
        for _ in range(ROUNDS):
            rounds.take(f"dbt build, {MORE} more models", more, *dbt("build"))
            rounds.take(f"pass, {MORE} more models", more, *forced, **crm)
    show(rounds, commit if before else None)


def show(rounds: Rounds, commit: str | None) -> None:
    print(f"\n{'the demo (5,000 people), medians of ' + str(ROUNDS):<52}{'wall':>8}{'CPU':>8}")
    for name in rounds.costs:
        rounds.show(name)
    cpu = rounds.cpu
    whole, build, start = cpu("pass, nothing new"), cpu("dbt build, nothing new"), cpu("  dbt's start")
    imports = cpu("  imports and definitions")
    print(
        f"\npass / dbt build alone: {whole / build:.2f} (goal 1.4); with 1 % new {cpu('pass, 1 % new') / cpu('dbt build, 1 % new'):.2f}"
    )
    if commit:
        print(f"pass / pass of {commit}: {whole / cpu(f'pass of {commit}, nothing new'):.2f} (goal 0.5)")
        then = cpu(f"dbt build of {commit}, nothing new") - cpu(f"  dbt's start of {commit}")
        print(f"dbt build over its start, for each of {NODES_BEFORE} models and tests: {1000 * (build - start) / NODES_BEFORE:.0f} ms "
              f"(goal 45), {commit}: {1000 * then / NODES_BEFORE:.0f} ms")  # fmt: skip
    print(f"of the pass: imports and definitions {imports:.2f}, dbt's start {start:.2f}, dbt's nodes {build - start:.2f} (of it "
          f"statements {cpu('bare statements, nothing new'):.2f}), Dagster's events and delivery {whole - build - imports:.2f}; dbt's "
          "imports are in the first and in the second, and a pass pays them once")  # fmt: skip
    added = cpu(f"pass, {MORE} more models") - whole - (cpu(f"dbt build, {MORE} more models") - build)
    print(f"{MORE} more models with two tests each: the pass adds {added:.2f} s to what dbt adds (goal 4)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else BEFORE)
