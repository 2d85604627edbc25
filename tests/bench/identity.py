"""Identity alone, from staged messages to identifiers, merges and refusals: CPU seconds beside the floor of the same run.

The floor is DuckDB writing the distinct identifier sets of the same staged messages. Medians of REPEATS runs; dbt's own
start is measured and taken off, of the floor Python's. `make bench-identity EVENTS=10000000`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from cdp_orchestration.identity.rules import identity_rules
from tests.bench.layers import Cost, dbt_run, measured
from tests.harness import PROJECT
from tests.test_identity import prepare

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


def floor(home: Path) -> Cost:
    sql = "create or replace table main.floor as select distinct identifiers from staging.messages"
    program = f"import duckdb; c = duckdb.connect('{home}/warehouse.duckdb'); c.execute('set preserve_insertion_order = false'); "
    start = measured([sys.executable, "-c", program], home)
    return measured([sys.executable, "-c", f"{program}c.execute({sql!r})"], home) - start


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "megabytes")))


def without_limits() -> list[str]:
    rules = identity_rules()
    types = {name: {**rule, "limit": None} for name, rule in rules["identifiers"].items()}
    return ["--vars", json.dumps({"identity": {**rules, "identifiers": types}})]


def show(what: str, cost: Cost, ground: Cost) -> None:
    print(f"{what:<44}{cost.wall:>8.2f}{cost.cpu:>8.2f}{cost.megabytes:>9.0f}{cost.cpu / ground.cpu:>9.2f}", flush=True)


def full(home: Path, start: Cost, *more: str) -> Cost:
    return median(
        [measured([*dbt_run(home, "2_identity"), "--full-refresh", *more], home) - start for _ in range(REPEATS)]
    )


def main(total: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder:
        home = Path(folder)
        prepare(home)
        stage(home, total, total)
        seed = dbt_run(home)
        seed[seed.index("run")] = "seed"
        measured(seed[: seed.index("--select")], home)
        for variables in ([], without_limits()):  # parses
            measured([*dbt_run(home, "nothing_of_this_name"), *variables], home)
        start = median([measured(dbt_run(home, "nothing_of_this_name"), home) for _ in range(REPEATS)])
        print(f"{total:,} events; dbt's own start, taken off below: {start.cpu:.2f} s CPU")
        print(f"{'median of ' + str(REPEATS):<44}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'/ floor':>9}")
        ground = median([floor(home) for _ in range(REPEATS)])
        show("floor: distinct identifier sets", ground, ground)
        unlimited = full(home, start, *without_limits())
        show("full, components only (no limits)", unlimited, ground)
        protected = full(home, start)
        show("full, with merge protection", protected, ground)
        increments = []
        for _ in range(REPEATS):
            stage(home, total, total * 99 // 100)
            measured([*dbt_run(home, "2_identity"), "--full-refresh"], home)
            stage(home, total, total)
            increments.append(measured(dbt_run(home, "2_identity"), home) - start)
        increment = median(increments)
        show("1 % new events", increment, ground)
        print(f"protection adds {protected.cpu / unlimited.cpu - 1:.1%} to plain components")
        print(f"1 % new events cost {increment.cpu / protected.cpu:.1%} of a full resolution")
        if total <= 1_000_000:
            stage(home, total, total, chain=True)
            chained = full(home, start)
            show("full, and a chain of 1,000 over its limit", chained, ground)


if __name__ == "__main__":
    began = time.monotonic()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    print(
        f"bench took {time.monotonic() - began:.0f} s on {os.cpu_count()} cores, {subprocess.run(['uname', '-m'], capture_output=True, text=True, check=False).stdout.strip()}, {PROJECT.name}"
    )
