"""Identity alone, from staged messages to identifiers, merges and refusals: CPU seconds beside floors of the same run.

Floors, each one statement of DuckDB over the same staged messages:
  tuples  the distinct identifier tuples: every message's identifiers parsed, normalised, blocked ones left out
          (the floor of the prototypes, which read such tuples from columns)
  texts   the distinct texts of the identifiers, nothing parsed: what no resolution could do without

Medians of REPEATS rounds, in each of which everything has its turn. `SQL` is the CPU of the models' statements, `CPU` that
of the process from its first statement on; the difference is dbt's own work for each model, the same whatever the number of
messages. Goals: see the last lines. `make bench EVENTS=10000000`.
"""

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_orchestration.identity.rules import identity_rules
from tests.bench.layers import dbt_run, measured
from tests.bench.statements import cpu
from tests.identity.test_identity import prepare
from tests.support import parsed
from tests.support.harness import PROJECT, Platform

REPEATS = 3
SCHEMA = ["--select", "2_identity"]

# N/20 people with 1-4 cookies, 0-2 e-mails and devices; 45 % have a customer number; 9 % of events carry two identifiers,
# 2 % three; 0.3 % junk values; 1 % of the people share a browser with somebody else; one device with 5,000 e-mails.
MESSAGES = """
create or replace table staging.messages as
with drawn as (
    select i, hash(i, 'person') % ({n} // 20) as person, hash(i, 'ids') % 100 as ids, hash(i, 'cookie') as cookie,
        hash(i, 'which') % 100 as which, hash(i, 'junk') % 1000 as junk
    from range({start}, {stop}) as numbers(i)
),
owned as (
    select *,
        case when cookie % 5 = 0 and hash(person, 'shares') % 1000 < 10 then 'a-s' || hash(person, 'with') % ({n} // 20)
            else 'a-' || hash(person, 'a', cookie % (1 + hash(person, 'cookies') % 4)) end as anonymous_id,
        case when hash(person, 'customer') % 100 < 45 and ids >= 85 and which < 60 then 'C' || hash(person, 'c') end as user_id,
        case when junk < 4 then ['null', 'unknown', '0000'][(1 + junk % 3)::int]
            when hash(person, 'mails') % 3 > 0 and ids >= 85 and which between 40 and 90
            then 'u' || hash(person, 'e', cookie % 2) || '@mail.example' end as email,
        case when hash(person, 'phone') % 100 < 30 and ids >= 95 then '+3519' || hash(person, 'p') % 100000000 end as phone,
        case when hash(person, 'devices') % 3 > 0 and ids between 70 and 84 then 'd-' || hash(person, 'd', cookie % 2) end as device
    from drawn
)
select 'm-' || md5(i::varchar) as message_id, i::bigint as arrival, 'web' as source,
    '[' || concat_ws(',',
        '{{"type":"user_id","value":"' || user_id || '"}}', '{{"type":"email","value":"' || email || '"}}',
        '{{"type":"phone","value":"' || phone || '"}}', '{{"type":"android_id","value":"' || device || '"}}',
        case when device is null then '{{"type":"anonymous_id","value":"' || anonymous_id || '"}}' end) || ']' as identifiers,
    timestamp '2026-07-01' + interval (i * 90.0 * 86400 / {n}) second as occurred_at,
    timestamp '2026-07-01' + interval (i * 90.0 * 86400 / {n}) second as received_at
from owned
"""
KIOSK = """
insert into staging.messages select 'k-' || i, -5000 + i, 'web', '[{"type":"email","value":"k' || i || '@mail.example"},'
    || '{"type":"ios_id","value":"hub"}]', timestamp '2026-06-30', timestamp '2026-06-30' from range(5000) as kiosk(i)
"""
CHAIN = """
insert into staging.messages select 'c-' || i, -9000 + i, 'web', '[{"type":"anonymous_id","value":"chain-' || i
    || '"},{"type":"anonymous_id","value":"chain-' || (i + 1) || '"}]', timestamp '2026-06-30', timestamp '2026-06-30'
from range(1000) as chain(i)
"""


def stage(home: Path, total: int, stop: int, chain: bool = False) -> None:
    """Staged messages 0..stop of a stream of `total`, in a warehouse that holds nothing else."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute("set preserve_insertion_order = false")
        connection.execute("create schema if not exists staging")
        connection.execute(MESSAGES.format(n=total, start=0, stop=stop))
        connection.execute(KIOSK)
        connection.execute("update staging.messages set arrival = arrival + 10000")
        if chain:
            connection.execute(CHAIN.replace("-9000", "0"))
        connection.execute(
            "create or replace view staging.current_build as select 'bench' as build_id, "
            "timestamp '2026-11-01' as as_of, 1::bigint as through_batch_seq"
        )


TYPES = ("user_id", "email", "phone", "android_id", "ios_id", "anonymous_id")
FLOORS = {
    "tuples": "create or replace table main.floor as select distinct "
    + ", ".join(
        f"case when list_contains(['null', 'unknown', '0000', 'none'], lower(entries['{kind}'])) then null "
        f"else {'lower' if kind in ('email', 'android_id', 'ios_id') else ''}(entries['{kind}']) end as {kind}"
        for kind in TYPES
    )
    + ' from (select map_from_entries(from_json(identifiers, \'[{"type":"VARCHAR","value":"VARCHAR"}]\')) as entries '
    "from staging.messages)",
    "texts": "create or replace table main.floor as select distinct identifiers from staging.messages",
}


@dataclass
class Cost:
    """Of one run: CPU seconds of the models' statements, of the process from its first statement on, wall seconds, peak MB."""

    sql: float
    cpu: float = 0.0
    wall: float = 0.0
    megabytes: float = 0.0


def median(costs: list[Cost]) -> Cost:
    return Cost(
        *(statistics.median(getattr(cost, name) for cost in costs) for name in ("sql", "cpu", "wall", "megabytes"))
    )


def floor(home: Path, name: str) -> Cost:
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute("set preserve_insertion_order = false")
        began, started = time.monotonic(), cpu()
        connection.execute(FLOORS[name])
        cost = Cost(cpu() - started, cpu() - started, time.monotonic() - began)
        connection.execute("drop table main.floor")
    return cost


def run(home: Path, *select: str) -> tuple[Cost, dict[str, float]]:
    """One dbt run, and the CPU seconds of each node's statements."""
    report = home / "statements.json"
    os.sync()  # what was staged is not written back while the clock runs
    arguments = dbt_run(home, *select)[1:]
    measured([sys.executable, "-m", "tests.bench.statements", str(report), *arguments], home)
    spent = json.loads(report.read_text())
    return Cost(spent["sql"], spent["cpu"], spent["wall"], spent["megabytes"]), spent["nodes"]


def emptied(home: Path) -> None:
    """Without what an earlier resolution left: a full one starts from staged messages and nothing else."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        for schema, name, kind in connection.execute(
            "select table_schema, table_name, table_type from information_schema.tables where table_schema in ('identity', 'identity_steps') "
            "and table_name <> 'identity_overrides'"
        ).fetchall():
            connection.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {schema}.{name}")


def full(home: Path, *more: str) -> Cost:
    emptied(home)
    return run(home, "2_identity", *more)[0]


def new_home(home: Path) -> Path:
    """Without messages; with the decisions of operators, of which there are none."""
    home.mkdir()
    prepare(home)
    parsed.start_from_it(home, PROJECT, Platform(home).environment())
    seed = dbt_run(home)
    seed[seed.index("run")] = "seed"
    measured(seed[: seed.index("--select")], home)
    return home


def without_limits() -> list[str]:
    rules = identity_rules()
    types = {name: {**rule, "limit": None} for name, rule in rules["identifiers"].items()}
    return ["--vars", json.dumps({"identity": {**rules, "identifiers": types}})]


def components(home: Path) -> tuple[float, float | None]:
    """CPU seconds of ours and of Splink's (None where it is not installed) on the edges of the last full resolution."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(
            "create or replace table main.edges as select distinct oldest.stands_at as a, links.stands_at as b from identity_steps.candidate_links as links "
            "inner join (select arrival, min(stands_at) as stands_at from identity_steps.candidate_links group by arrival) as oldest using (arrival) "
            "where links.stands_at > oldest.stands_at"
        )
        [(count,)] = connection.execute(
            "select (select count(*) from (select a from main.edges union select b from main.edges)) "
            "- (select count(*) from identity_steps.unrestricted_components)"
        ).fetchall()
    ours, theirs = [], []
    for _ in range(REPEATS):
        model = "unrestricted_components"  # its edges are made under a name of their own
        ours.append(run(home, model)[1][model])
        if importlib.util.find_spec("splink"):
            command = [sys.executable, "-m", "tests.bench.components", "splink", str(home / "warehouse.duckdb")]
            told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
            found = json.loads(told.stdout.splitlines()[-1])
            if found["components"] != count:
                raise SystemExit(f"Splink finds {found['components']} components, ours are {count}.")
            theirs.append(found["cpu"])
    return statistics.median(ours), statistics.median(theirs) if theirs else None


def show(what: str, cost: Cost, floors: dict[str, Cost]) -> None:
    ratios = "".join(f"{cost.sql / ground.sql:>10.2f}{cost.cpu / ground.sql:>8.2f}" for ground in floors.values())
    print(f"{what:<42}{cost.wall:>7.2f}{cost.sql:>7.2f}{cost.cpu:>7.2f}{cost.megabytes:>8.0f}{ratios}", flush=True)


def main(total: int, folder: Path, short: bool = False) -> None:
    os.environ[parsed.KEPT] = str(folder)
    # A home each for what is compared, so that one can be measured after the other, round after round: what else the machine
    # does meets all of them.
    home, unlimited, grown = (new_home(folder / name) for name in ("full", "unlimited", "grown"))
    stage(home, total, total)
    shutil.copy(home / "warehouse.duckdb", unlimited / "warehouse.duckdb")
    stage(grown, total, total * 99 // 100)
    run(grown, "2_identity")
    stage(grown, total, total)
    before = (grown / "warehouse.duckdb").rename(grown / "before.duckdb")
    costs: dict[str, list[Cost]] = {name: [] for name in (*FLOORS, "unlimited", "protected", "added")}
    nodes: dict[str, float] = {}
    for _ in range(REPEATS):
        for name in FLOORS:
            costs[name].append(floor(home, name))
        costs["unlimited"].append(full(unlimited, *without_limits()))
        costs["protected"].append(full(home))
        shutil.copy(before, grown / "warehouse.duckdb")
        cost, nodes = run(grown, "2_identity")
        costs["added"].append(cost)
    medians = {name: median(several) for name, several in costs.items()}
    floors = {name: medians[name] for name in FLOORS}
    plain, protected, added = medians["unlimited"], medians["protected"], medians["added"]
    print(f"{total:,} events, median of {REPEATS} rounds; dbt from its first statement on")
    print(f"{'':<42}{'wall':>7}{'SQL':>7}{'CPU':>7}{'peak MB':>8}{'SQL, CPU / tuples':>18}{'/ texts':>18}")
    for name, ground in floors.items():
        show(f"floor: distinct identifier {name}", ground, floors)
    show("full, components only (no limits)", plain, floors)
    show("full, with merge protection", protected, floors)
    show("1 % new events", added, floors)
    most = sorted(nodes.items(), key=lambda node: -node[1])[:6]
    print("    of it " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in most))
    ground_sql = floors["tuples"].sql
    print(
        f"full / floor of tuples: {protected.sql / ground_sql:.2f} (goal 2.2), "
        f"dbt's own work included {protected.cpu / ground_sql:.2f}"
    )
    print(f"protection adds {protected.sql / plain.sql - 1:.1%} to plain components (goal: at most 25 %)")
    print(
        f"1 % new events cost {added.sql / protected.sql:.1%} of a full resolution (goal 8 % at 10M), "
        f"dbt's own work included {added.cpu / protected.cpu:.1%}; rounds: "
        + ", ".join(f"{one.sql / whole.sql:.1%}" for one, whole in zip(costs["added"], costs["protected"], strict=True))
    )
    if short:
        return
    ours, splinks = components(home)
    told = (
        f"{ours / splinks:.2f} of Splink's {splinks:.2f} s (goal 0.5)"
        if splinks
        else "Splink is not installed (pip install -e '.[bench]')"
    )
    print(f"components alone: {ours:.2f} s CPU, {told}")
    fifths, wholes = [], []
    stage(unlimited, total, total // 5)
    for _ in range(REPEATS):
        fifths.append(full(unlimited))
        wholes.append(full(home))
    fifth, whole = median(fifths), median(wholes)
    show("full, of a fifth of the events", fifth, floors)
    print(
        f"five times the events take {whole.sql / fifth.sql:.2f} times the CPU, "
        f"{whole.wall / fifth.wall:.2f} times the wall time (goal 6)"
    )
    if total <= 1_000_000:
        stage(unlimited, total, total, chain=True)
        show("full, and a chain of 1,000 over its limit", full(unlimited), floors)


if __name__ == "__main__":
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cdp-bench-") as scratch:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, Path(scratch), short="short" in sys.argv[2:])
    print(f"bench took {time.monotonic() - started:.0f} s on {os.cpu_count()} cores")
