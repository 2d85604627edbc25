"""Attributes, audiences and their members: CPU seconds of the SQL alone, on DuckDB, as ratios within one run.

`python -m tests.bench.attributes [EVENTS] [MEMBERS]` (1,000,000 and 4,000,000). Medians of ROUNDS:

- 30 attributes of mixed kinds, as users write them, beside the best SQL by hand over the same typed columns (no exact sums);
- the same after 1 % more events, with a clock that moved on by as much: moved_events and the people who moved, beside the whole;
- 50 audiences with an event condition each, beside one query by hand for each;
- a membership change of 1 % of an audience, recorded by the hooks, beside one full outer join of the two sets.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import duckdb

from tests.attributes import test_recomputed as recomputed
from tests.attributes.test_attributes import COLUMNS
from tests.support.macros import rendered

ROUNDS = int(os.environ.get("ROUNDS", "3"))
BEGIN, DAYS = datetime(2026, 7, 1), 90
END = BEGIN + timedelta(days=DAYS)
ORDER, SEARCH, VIEW, ADD = "Order Completed", "Trip Searched", "Product Viewed", "Product Added"

# Name: call, and the same by hand. There, `seen` becomes the condition of the window, `told` of the events.
ATTRIBUTES: dict[str, tuple[str, dict[str, Any], str]] = {
    "orders": ("count_of", {"event": ORDER}, "count(*)"),
    "orders_90d": ("count_of", {"event": ORDER, "last_days": 80}, "count(*) filter (seen)"),
    "searches_30d": ("count_of", {"event": SEARCH, "last_days": 30}, "count(*) filter (seen)"),
    "views_7d": ("count_of", {"event": VIEW, "last_days": 7}, "count(*) filter (seen)"),
    "pages_30d": ("count_of", {"types": ["page"], "last_days": 30}, "count(*) filter (seen)"),
    "added_before": ("count_of", {"event": ADD, "between_days": (60, 30)}, "count(*) filter (seen)"),
    "big_orders": ("count_of", {"event": ORDER, "where": [("total", ">", 100)], "last_days": 60}, "count(*) filter (seen)"),
    "logins": ("count_of", {"event": "Logged In", "last_days": 30}, "count(*) filter (seen)"),
    "searches": ("count_of", {"event": SEARCH}, "count(*)"),
    "spent": ("sum_of", {"event": ORDER, "property": "total"}, "coalesce(sum(total), 0)"),
    "spent_30d": ("sum_of", {"event": ORDER, "property": "total", "last_days": 30}, "coalesce(sum(total) filter (seen), 0)"),
    "added_since": ("sum_of", {"event": ADD, "property": "total", "since": "2026-08-01"}, "coalesce(sum(total) filter (seen), 0)"),
    "mean": ("average_of", {"event": ORDER, "property": "total"}, "avg(total)"),
    "dearest": ("max_of", {"event": VIEW, "property": "total"}, "max(total)"),
    "cheapest_60d": ("min_of", {"event": VIEW, "property": "total", "last_days": 60}, "min(total) filter (seen)"),
    "first_town": ("first_value_of", {"event": VIEW, "property": "destination"}, "arg_min(destination, arrival)"),
    "last_town": ("last_value_of", {"event": VIEW, "property": "destination", "last_days": 30}, "arg_max(destination, occurred_at) filter (seen)"),
    "first_order": ("first_time_of", {"event": ORDER}, "min(occurred_at)"),
    "last_order": ("last_time_of", {"event": ORDER}, "max(occurred_at)"),
    "last_seen_at": ("last_time_of", {"types": ["track", "page"]}, "max(occurred_at)"),
    "liked_60d": ("most_frequent_of", {"event": [VIEW, ADD], "property": "destination", "last_days": 60}, "mode(destination) filter (seen)"),
    "liked": ("most_frequent_of", {"event": SEARCH, "property": "destination"}, "mode(destination)"),
    "towns": ("unique_count_of", {"event": VIEW, "property": "destination", "last_days": 80}, "count(distinct destination) filter (seen)"),
    "paged_towns": ("unique_count_of", {"types": ["page"], "property": "destination", "last_days": 30}, "count(distinct destination) filter (seen)"),
    "searched_towns": ("unique_list_of", {"event": SEARCH, "property": "destination", "capacity": 10}, "to_json(list_sort(list(distinct destination)))"),
    "spent_by": ("map_of", {"event": ORDER, "property": "total", "by": ["destination"]}, "MAP sum(total)"),
    "viewed_by": ("map_of", {"event": VIEW, "by": ["destination"], "last_days": 30}, "MAP count(*) filter (seen)"),
    "visits_30d": ("sessions_of", {"sources": ["web"], "last_days": 30}, "VISITS"),
    "interest": ("decayed_sum_of", {"event": [VIEW, SEARCH], "half_life_days": 14}, "sum(power(0.5, age / 14))"),
    "worth": ("decayed_sum_of", {"event": ORDER, "property": "total", "half_life_days": 30}, "sum(total * power(0.5, age / 30))"),
}  # fmt: skip
EVENTS = """
select
    'm' || i as message_id, md5('p' || hash(i, 'person') % greatest({n} // 20, 1000)) as profile_id,
    case when kind < 380 then 'page' when kind < 440 then 'identify' else 'track' end as type,
    case when kind < 440 then null when kind < 640 then 'Product Viewed' when kind < 740 then 'Trip Searched'
        when kind < 820 then 'Product Added' when kind < 860 then 'Order Completed' else 'Logged In' end as event_name,
    timestamp '2026-07-01' + interval (i * {days} * 86400.0 / {n}) second as occurred_at, 'web' as source, i as arrival,
    hash(i, 'total') % 500 + 0.5 as total, 'Town ' || hash(i, 'town') % 40 as destination, 2 as travellers
from (select i, hash(i, 'kind') % 1000 as kind from range({start}, {stop}) as numbers(i))
"""


class Bench(recomputed.Warehouse):
    """Tables, not temporary ones; what they cost is measured by CPU seconds of this process."""

    def run(self, sql: str) -> None:
        self.cursor.execute(sql.replace("create temp table", "create table"))

    def land(self, total: int, start: int, stop: int) -> None:
        sql = EVENTS.format(n=total, days=DAYS, start=start, stop=stop)
        self.run("delete from written")
        self.run(f"insert into written by name select * from ({sql})")
        self.writes += 1
        self.run(recomputed.written("duckdb")[0].replace("WRITE", f"write {self.writes}"))

    def at(self, moment: datetime) -> None:
        self.run(f"update current_build set as_of = timestamp '{moment}'")


def cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def by_hand(name: str, as_of: datetime) -> str:
    """What somebody who knows the engine writes for one attribute."""
    _, options, value = ATTRIBUTES[name]
    now = f"timestamp '{as_of}'"
    named = [options["event"]] if isinstance(options.get("event"), str) else options.get("event")
    told = [f"occurred_at <= {now}", "profile_id is not null"]
    told += [f"event_name in ({', '.join(map(repr, named))})"] if named else []
    told += [f"type in ({', '.join(map(repr, options['types']))})"] if "types" in options else []
    told += ["total > 100"] if "where" in options else []
    seen = "true"
    if "last_days" in options:
        seen = f"occurred_at > {now} - interval {options['last_days']} day"
    elif "since" in options:
        seen = f"occurred_at >= timestamp '{options['since']}'"
    elif "between_days" in options:
        first, last = options["between_days"]
        seen = f"occurred_at > {now} - interval {first} day and occurred_at <= {now} - interval {last} day"
    value = value.replace("seen", f"where {seen}")
    if value == "VISITS":
        visits = f"select profile_id, occurred_at, lag(occurred_at) over (partition by profile_id order by occurred_at) as before from events where {' and '.join(told)} and type in ('page', 'screen', 'track') and {seen}"
        return f"select profile_id, count(*) filter (where before is null or occurred_at > before + interval 30 minute) as {name} from ({visits}) group by profile_id"
    if value.startswith("MAP"):
        return (
            f"select profile_id, json_group_object(destination, amount) as {name} from (select profile_id, destination, "
            f"{value[4:]} as amount from events where {' and '.join(told)} group by all) group by profile_id"
        )
    value = value.replace("age", f"(epoch({now}) - epoch(occurred_at)) / 86400")
    return f"select profile_id, {value} as {name} from events where {' and '.join(told)} group by profile_id"


def audiences(as_of: datetime) -> list[tuple[str, str]]:
    """50 with an event condition each: by the helper, and by hand."""
    given = recomputed.context("duckdb", "readers")
    found = []
    for number in range(50):
        event, days, times = [VIEW, SEARCH, ADD, ORDER, "Logged In"][number % 5], 7 + number, 1 + number % 3
        where = [("total", ">", 10 * number)] if number % 2 else []
        condition = rendered("duckdb", "performed", event, where, (">=", times), last_days=days, context=given)
        helper = f"select people.profile_id from profiles as people where {condition}"
        told = f"type = 'track' and event_name = '{event}' and occurred_at > timestamp '{as_of}' - interval {days} day and occurred_at <= timestamp '{as_of}'"
        told += f" and total > {10 * number}" if where else ""
        hand = f"select profile_id from events where {told} and profile_id is not null group by profile_id having count(*) >= {times}"
        found.append((helper, hand))
    return found


def lived(connection: duckdb.DuckDBPyConnection, made: list[recomputed.Attribute], total: int) -> dict[str, float]:
    """CPU seconds of each step of one round, in a warehouse of its own."""

    def tables(queries: list[str]) -> None:
        for sql in queries:
            connection.execute(f"create or replace table made as {sql}")

    def build() -> None:
        for attribute in made:
            warehouse.build(attribute)

    connection.execute("set preserve_insertion_order = false")
    warehouse = Bench("duckdb", connection, made)
    before = BEGIN + timedelta(days=DAYS) * 0.99
    warehouse.at(before)
    warehouse.land(total, 0, total * 99 // 100)
    connection.execute("create table profiles as select distinct profile_id from events; checkpoint")
    warehouse.move()
    both = audiences(before)
    costs = {
        "by hand": cpu(lambda: tables([by_hand(name, before) for name in ATTRIBUTES])),
        "whole": cpu(build),
        "audiences by hand": cpu(lambda: tables([hand for _, hand in both])),
        "audiences": cpu(lambda: tables([helper for helper, _ in both])),
    }
    warehouse.at(END)
    warehouse.land(total, total * 99 // 100, total)
    warehouse.in_part = 0
    costs |= {"moved_events": cpu(warehouse.move), "in part": cpu(build)}
    assert warehouse.in_part == len(made)
    assert all(warehouse.agrees(each) for each in made)
    return costs


def attributes_and_audiences(total: int) -> list[tuple[str, float, float, str]]:
    recomputed.CALLS.update({name: (kind, options) for name, (kind, options, _) in ATTRIBUTES.items()})
    made = [recomputed.Attribute.of("duckdb", name) for name in ATTRIBUTES]
    rounds = []
    for _ in range(ROUNDS):
        with (
            tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder,
            duckdb.connect(f"{folder}/bench.duckdb") as connection,
        ):
            rounds.append(lived(connection, made, total))
    median = {what: statistics.median(each[what] for each in rounds) for what in rounds[0]}
    part = median["moved_events"] + median["in part"]
    return [
        ("30 attributes / by hand", median["whole"], median["by hand"], "2.5"),
        ("1 % more: attributes / whole", part, median["whole"], "0.35"),
        ("   of it moved_events", median["moved_events"], median["whole"], ""),
        ("1 % more: and 50 audiences / whole", part + median["audiences"], median["whole"] + median["audiences"], "0.35"),
        ("50 audiences / by hand", median["audiences"], median["audiences by hand"], "1.5"),
    ]  # fmt: skip


def membership(members: int) -> tuple[str, float, float, str]:
    """1 % of the members are others than before."""
    names = {"changes": "changes", "current_members": "current_members", "current_build": "current_build"}
    given = recomputed.context("duckdb", "vips", ref=names.__getitem__) | {
        "model": SimpleNamespace(name="vips", resource_type="model", fqn=["cdp", "5_audiences", "vips"])
    }
    hooks = [
        rendered("duckdb", name, context=given)
        for name in ("record_audience_changes", "let_members_go", "take_members_in")
    ]
    joined = (
        "create or replace table joined as select coalesce(a.profile_id, b.profile_id) as profile_id from vips as a full outer join "
        "current_members as b on b.profile_id = a.profile_id where a.profile_id is null or b.profile_id is null"
    )
    hand, done = [], []
    for _ in range(ROUNDS):
        with (
            tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder,
            duckdb.connect(f"{folder}/bench.duckdb") as connection,
        ):
            connection.execute(
                f"""create table current_build as select timestamp '{END}' as as_of, 'b2' as build_id;
                create table vips as select md5('p' || i) as profile_id from range({members // 100}, {members + members // 100}) as n(i);
                create table current_members as select 'vips' as audience, md5('p' || i) as profile_id, null::text as variant,
                    timestamp '{BEGIN}' as entered_at, 'b1' as build_id from range({members}) as n(i);
                create table changes (audience text, profile_id text, change text, variant text, "at" timestamp, build_id text)"""
            )
            hand.append(cpu(lambda: connection.execute(joined)))
            done.append(cpu(lambda: [connection.execute(str(sql)) for sql in hooks]))
            assert connection.execute("select count(*) from changes").fetchall() == [(2 * (members // 100),)]
    return (
        f"change of {members:,} members / one full outer join",
        statistics.median(done),
        statistics.median(hand),
        "2.5",
    )


def main(total: int, members: int) -> None:
    print(f"{total:,} events, {len(COLUMNS)} columns\n{'':<44}{'CPU s':>8}{'of':>8}{'ratio':>8}  at most")
    for what, cost, of, most in [*attributes_and_audiences(total), membership(members)]:
        print(f"{what:<44}{cost:>8.2f}{of:>8.2f}{cost / of:>8.2f}  {most}", flush=True)


if __name__ == "__main__":
    told = [int(text) for text in sys.argv[1:]]
    main(told[0] if told else 1_000_000, told[1] if len(told) > 1 else 4_000_000)
