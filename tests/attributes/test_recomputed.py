"""Attributes that are recomputed for the people who moved hold what their whole query gives, after any steps: late events and
those of the future, merges and splits, a clock that moves or stands, attributes that missed a build, steps that failed halfway.

The worlds run the SQL of the macros and of moved_events on a bare connection; tests/builds/test_days.py has the builds."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.attributes.test_attributes import COLUMNS, ENGINES, PROPERTIES, definitions
from tests.conftest import connect
from tests.support.harness import PROJECT
from tests.support.macros import rendered

START = datetime(2026, 11, 1, 12)
ORDER, SEARCH, VIEW = "Order Completed", "Trip Searched", "Product Viewed"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "orders": ("count_of", {"event": ORDER}),
    "orders_7d": ("count_of", {"event": ORDER, "last_days": 7}),
    "orders_7d_seen": ("count_of", {"event": ORDER, "last_days": 7, "keep_emptied": False}),
    "searches_6h": ("count_of", {"event": [SEARCH, VIEW], "last_hours": 6}),
    "pages_1d": ("count_of", {"types": ["page", "screen"], "last_days": 1}),
    "orders_before": ("count_of", {"event": ORDER, "between_days": (30, 7)}),
    "orders_to_now": ("count_of", {"event": ORDER, "between_days": (7, 0)}),
    "big_orders": ("count_of", {"event": ORDER, "where": [("total", ">", 1)], "last_days": 30}),
    "different": ("unique_count_of", {"event": VIEW, "property": "destination", "last_days": 7}),
    "spent": ("sum_of", {"event": ORDER, "property": "total", "last_days": 30}),
    "spent_since": ("sum_of", {"event": ORDER, "property": "total", "since": "2026-11-01"}),
    "mean": ("average_of", {"event": ORDER, "property": "total", "last_days": 7}),
    "least": ("min_of", {"event": ORDER, "property": "total", "last_days": 1}),
    "most": ("max_of", {"event": VIEW, "property": "travellers"}),
    "first": ("first_value_of", {"event": VIEW, "property": "destination", "last_days": 7}),
    "last": ("last_value_of", {"event": VIEW, "property": "destination"}),
    "first_at": ("first_time_of", {"event": ORDER, "last_days": 30}),
    "last_at": ("last_time_of", {"types": ["track", "page"]}),
    "favourite": ("most_frequent_of", {"event": [VIEW, SEARCH], "property": "destination", "last_days": 7}),
    "listed": ("unique_list_of", {"event": VIEW, "property": "destination", "capacity": 2, "last_days": 30}),
    "mapped": ("map_of", {"event": ORDER, "property": "total", "by": ["destination"], "between_days": (30, 1)}),
    "liking": ("decayed_sum_of", {"event": VIEW, "half_life_days": 7}),
    "spending": ("decayed_sum_of", {"event": ORDER, "property": "total", "half_life_days": 2, "last_days": 7}),
    "visits": ("sessions_of", {"sources": ["web"], "last_days": 1}),
}  # fmt: skip


def test_the_worlds_have_every_kind_that_is_recomputed() -> None:
    assert {kind for kind, _ in CALLS.values()} == set(rendered("duckdb", "kinds_of_own_events"))


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("{{ count_of('a') }}", True),
        (
            "-- What (it) is.\n{# And {{ why }}. #}\n{{- cdp.count_of(\n    'a) }} b', where=[('total', '>', 1)]\n) -}}\n",
            True,
        ),
        ("{{ config(tags=['a']) }}\n{{ count_of(\"it's\", last_days=(3)) }}", True),
        ("{{ config(materialized='view') }}\n{{ count_of('a') }}", False),
        ("{{ count_of('a') }} limit 3", False),
        ("{{ count_of('a') }}\nunion all\n{{ count_of('b') }}", False),
        ("{{ count_of('a') | replace('a', 'b') }}", False),
        ("{{ count_of('a') ~ (' limit 3') }}", False),
        ("{% set days = 3 %}{{ count_of('a', last_days=days) }}", False),
        ("with a as ({{ count_of('a') }}) select * from a", False),
        ("{{ sum_of('a', 'total') }}", False),
    ],
)
def test_only_a_model_that_is_one_call_is_recomputed(text: str, is_it: bool) -> None:
    assert rendered("duckdb", "is_one_call", text, "count_of") is is_it
    assert ("materialized" in parsed("duckdb", "it", text, "count_of", event="a")) is is_it


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("count_of", {"event": ORDER, "where": [("back_at", "within_last", {"days": 3})]}),
    ],
)
def test_what_changes_with_the_clock_is_worked_out_whole(kind: str, options: dict[str, Any]) -> None:
    assert parsed("duckdb", "it", f"{{{{ {kind}() }}}}", kind, **options) == {}


def test_other_engines_have_tables() -> None:
    assert parsed("snowflake", "it", "{{ count_of() }}", "count_of", event=ORDER) == {}


def refuse(text: str) -> None:
    raise ValueError(text)


class Named(str):
    """A relation, as dbt's macros see one."""

    is_table = True

    @property
    def identifier(self) -> str:
        return str(self)

    def incorporate(self, path: dict[str, str] | None = None, **_: Any) -> "Named":
        return Named(path["identifier"]) if path else self


def context(engine: str, name: str = "none", **more: Any) -> dict[str, Any]:
    """What dbt gives to a macro."""
    nodes = {f"model.cdp.{relation}": SimpleNamespace(database=None, schema=None, alias=relation, resource_type="helper")
             for relation in ("touched", "calculated", "moved_events", "current_build", "events")}  # fmt: skip
    nodes |= more.pop("nodes", {})
    return {
        "var": lambda _: {"properties": PROPERTIES, "traits": {}}, "ref": Named, "execute": True, "this": Named(name),
        "exceptions": SimpleNamespace(raise_compiler_error=refuse), "target": SimpleNamespace(type=engine),
        "model": {"name": name, "original_file_path": name, "resource_type": "model"}, "graph": {"nodes": nodes},
        "flags": SimpleNamespace(FULL_REFRESH=False), "invocation_id": "WRITE", "env_var": lambda _, default: default, "fromjson": json.loads,
        "api": SimpleNamespace(Relation=SimpleNamespace(create=lambda identifier, **_: Named(identifier))),
        **more,
    }  # fmt: skip


def parsed(engine: str, name: str, raw_code: str, kind: str, **options: Any) -> dict[str, Any]:
    """What a call says of its model when dbt parses it: {} where it leaves it a table."""
    said: dict[str, Any] = {}
    given = context(engine, name, execute=False, config=lambda **more: said.update(more))
    rendered(engine, kind, context={**given, "model": {**given["model"], "raw_code": raw_code}}, **options)
    return said


@dataclass
class Attribute:
    """The statements of one attribute, as the materialization `attribute` runs them."""

    name: str
    engine: str
    meta: dict[str, Any]
    query: str
    may: str = ""
    whole: str = ""
    in_part: str = ""

    @classmethod
    def of(cls, engine: str, name: str) -> "Attribute":
        kind, options = CALLS[name]
        said = parsed(engine, name, f"-- A comment.\n{{{{ {kind}(…) }}}}\n", kind, **options)
        assert said["materialized"] == "attribute"
        sql = str(rendered(engine, kind, context=context(engine, name), **options))
        made = cls(name, engine, said["meta"], query=sql)
        made._take_apart()
        return made

    def _take_apart(self) -> None:
        for may in (0, 1):
            hooks: list[dict[str, Any]] = []
            sent: list[str] = []
            asked: list[str] = []

            def run_query(sql: str, may: int = may, asked: list[str] = asked) -> Any:
                asked.append(sql)
                return SimpleNamespace(rows=[(may,)], columns=[SimpleNamespace(values=lambda: [may])])

            def statement(_: str, caller: Any, sent: list[str] = sent) -> None:
                sent.append(caller())

            done = rendered(
                self.engine, "recomputed_in_part",
                context=context(
                    self.engine, self.name, run_query=run_query, sql=self.query, post_hooks=hooks, pre_hooks=[],
                    config={"meta": self.meta}, load_cached_relation=Named,
                    local_md5=lambda text: str(abs(hash(text))), run_hooks=lambda *_, **__: "", statement=statement,
                    create_table_as=lambda _, relation, sql: f"create temp table {relation} as {sql}",
                ),
            )  # fmt: skip
            self.may = asked[-1]
            if may:
                self.in_part = "; ".join(sent)
                continue
            if done is None:  # dbt's own `table`
                assert hooks[0]["transaction"]
                sent = [f"create temp table {self.name} as {self.query}", hooks[0]["sql"]]
            self.whole = "; ".join([f"drop table if exists {self.name}", *sent])


@cache
def written(engine: str) -> tuple[str, str]:
    """The statements that write profiles.events in part, and its hook."""
    replaced = (
        "delete from events where arrival in (select arrival from written); insert into events select * from written"
    )
    given = context(engine, get_incremental_delete_insert_sql=lambda _: replaced)
    tables = SimpleNamespace(target_relation="events", temp_relation="written")
    strategy = rendered(engine, "get_incremental_recorded_sql", tables, context=given)
    return str(strategy), str(rendered(engine, "record_whole_write", context=given))


class Warehouse:
    """Events, and attributes over them, on one connection."""

    def __init__(self, engine: str, cursor: Any, attributes: list[Attribute]) -> None:
        self.engine, self.cursor, self.attributes = engine, cursor, attributes
        self.writes, self.in_part, self.rows = 0, 0, 0
        self.built: set[str] = set()
        self.nodes = {
            attribute.name: SimpleNamespace(
                resource_type="model", config=SimpleNamespace(materialized="attribute", meta=attribute.meta)
            )
            for attribute in attributes
        }
        columns = "relation text, write_id text, as_of timestamp, is_whole boolean, build_id text, definition text, since_write_id text, since_as_of timestamp"
        self.run(
            f"create temp table events ({definitions(engine)}); create temp table written as select * from events; "
            "create temp table touched (write_no bigint, write_id text, is_whole boolean, profile_id text); "
            f"create temp table calculated ({columns}); "
            f"create temp table current_build as select timestamp '{START}' as as_of, 'build' as build_id"
        )

    def run(self, sql: str) -> None:
        self.cursor.execute(sql)

    def asked(self, sql: str) -> Any:
        self.cursor.execute(sql)
        rows = self.cursor.fetchall()
        return SimpleNamespace(rows=rows, columns=[SimpleNamespace(values=lambda: [rows[0][0]])] if rows else [])

    def render(self, macro: str) -> str:
        return str(rendered(self.engine, macro, context=context(self.engine, run_query=self.asked, nodes=self.nodes)))

    def write(self, rows: list[tuple[Any, ...]], whole: bool = False) -> None:
        """As profiles.events is written: `rows` replace those of their arrivals, or all rows."""
        self.writes += 1
        self.run("delete from written")
        if rows:
            mark = "%s" if self.engine == "postgres" else "?"
            marks = ", ".join([f"({', '.join([mark] * len(COLUMNS))})"] * len(rows))
            self.cursor.execute(f"insert into written values {marks}", [value for row in rows for value in row])
        self.run("begin")
        if whole:
            self.run("delete from events; insert into events select * from written")
        else:
            self.run(written(self.engine)[0].replace("WRITE", f"write {self.writes}"))
        self.run(written(self.engine)[1].replace("WRITE", f"write {self.writes}"))
        self.run("commit")

    def move(self) -> None:
        """As moved_events is built."""
        self.run("begin")
        self.run("drop table if exists moved_events")
        self.run(f"create temp table moved_events as {self.render('model_moved_events')}")
        self.run(self.render("record_movement"))
        self.run("commit")

    def build(self, attribute: Attribute) -> None:
        self.run("begin")
        if attribute.name in self.built and self.asked(attribute.may).rows[0][0] == 1:
            self.run(attribute.in_part)
            self.in_part += 1
        else:
            self.run(attribute.whole)
        self.run("commit")
        self.built.add(attribute.name)

    def agrees(self, attribute: Attribute) -> bool:
        """Whether the table holds what the whole query gives."""
        held = self.asked(f"select * from {attribute.name}").rows
        self.rows += len(held)
        return Counter(held) == Counter(self.asked(attribute.query).rows)


# Worlds. A device belongs to a person, who may be another one later; an event is a device's.
DEVICES, PEOPLE = 6, ["a", "b", "c", "d", None]
EDGES = [0, 1, 6, 24, 24 * 7, 24 * 30]
moments = st.builds(
    lambda hours, seconds: timedelta(seconds=seconds - 3600 * hours),
    st.sampled_from(EDGES), st.sampled_from([-3600, -1, 0, 0, 1, 1800, 3600, 80000]),
)  # fmt: skip
sent = st.tuples(
    st.integers(0, DEVICES - 1), moments, st.sampled_from([ORDER, ORDER, SEARCH, VIEW, VIEW, None]),
    st.sampled_from(["web", "shop"]), st.sampled_from([None, 0.1, 0.2, 19.99, -5.5]),
    st.sampled_from([None, "Rome", "rome", "Bari"]), st.sampled_from([None, 1, 2]),
)  # fmt: skip


# What is there at the beginning: of each kind at each end of a window.
FIRST = [
    (
        number % DEVICES,
        timedelta(hours=-hours, seconds=number % 3 - 1),
        name,
        "web",
        0.7,
        ["Rome", "Bari"][number % 2],
        2,
    )
    for number, (hours, name) in enumerate((hours, name) for hours in EDGES for name in (ORDER, SEARCH, VIEW, None))
]


@dataclass
class Step:
    """What happened between two builds, and how far the second came."""

    hours: int
    sent: list[tuple[Any, ...]]
    owners: list[tuple[int, str | None]]
    missed: list[str]
    ends: str


steps = st.lists(
    st.builds(
        Step,
        hours=st.sampled_from([0, 1, 6, 24, 24, 24 * 7, 24 * 23]),
        sent=st.lists(sent, max_size=12),
        owners=st.lists(st.tuples(st.integers(0, DEVICES - 1), st.sampled_from(PEOPLE)), min_size=1, max_size=3),
        missed=st.lists(st.sampled_from(sorted(CALLS)), max_size=3),
        ends=st.sampled_from(["well"] * 6 + ["after events", "after moved_events", "twice", "whole"]),
    ),
    min_size=3,
    max_size=5,
)


def lived_through(warehouse: Warehouse, story: list[Step]) -> None:
    owners: dict[int, str | None] = dict.fromkeys(range(DEVICES))
    owners.update({0: "a", 1: "b", 2: "c", 3: "a"})
    held: list[tuple[int, tuple[Any, ...]]] = []  # device and row, by arrival
    as_of = START
    for step in [Step(0, FIRST, [], [], "well"), *story, Step(1, [], [], [], "well")]:
        as_of += timedelta(hours=step.hours)
        warehouse.run(f"update current_build set as_of = timestamp '{as_of}'")
        changed = {device for device, owner in step.owners if owners[device] != owner}
        owners.update(dict(step.owners))
        new = []
        for device, moment, name, source, total, destination, travellers in step.sent:
            arrival = len(held)
            given = {"message_id": f"m{arrival}", "type": "track" if name else "page", "event_name": name, "occurred_at": as_of + moment,
                     "source": source, "arrival": arrival, "total": total, "destination": destination, "travellers": travellers}  # fmt: skip
            held.append((device, tuple(given.get(column) for column in COLUMNS)))
            new.append(arrival)
        owned = [(*row[:1], owners[device], *row[2:]) for device, row in held]
        # A build rewrites more than changed: what belongs to nobody, too.
        again = [n for n, (device, _) in enumerate(held) if device in changed or owners[device] is None or n in new]
        if step.ends == "whole":
            warehouse.write(owned, whole=True)
        else:
            warehouse.write([owned[n] for n in again])
        if step.ends == "after events":
            continue
        warehouse.move()
        if step.ends == "after moved_events":
            continue
        if step.ends == "twice":
            warehouse.move()
        for attribute in warehouse.attributes:
            if attribute.name not in step.missed:
                warehouse.build(attribute)
                assert warehouse.agrees(attribute), (attribute.name, as_of)


@pytest.fixture(scope="module", params=ENGINES)
def connected(request: pytest.FixtureRequest) -> tuple[str, Callable[[], Any]]:
    """The engine's name, and what gives a connection whose temporary tables are its own."""
    if request.param == "duckdb":
        return "duckdb", lambda: duckdb.connect(config={"threads": 1})
    server = request.getfixturevalue("postgres")
    functions = (PROJECT / "dbt_project/macros/dialect/postgres_functions.sql").read_text()
    body = re.search(r"postgres_functions\(\) -%}(.*){%- endmacro", functions, re.S)
    assert body
    with closing(connect(server, server["PGDATABASE"])) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"create schema if not exists landing; {body.group(1)}")
    return "postgres", lambda: connect(server, server["PGDATABASE"])


PROOF = int(os.environ.get("CDP_PROOF", "0"))


def test_any_story_ends_as_the_whole_queries_do(connected: tuple[str, Callable[[], Any]]) -> None:
    engine, connection_of = connected
    attributes = [Attribute.of(engine, name) for name in CALLS]
    done = {"in_part": 0, "rows": 0}

    @settings(max_examples=150 if PROOF else 5, deadline=None, derandomize=not PROOF, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(steps, st.lists(st.sampled_from(attributes), min_size=8, max_size=8, unique_by=lambda each: each.name))
    def lived(story: list[Step], some: list[Attribute]) -> None:
        with closing(connection_of()) as connection:
            warehouse = Warehouse(engine, connection.cursor(), some)
            lived_through(warehouse, story)
            done["in_part"] += warehouse.in_part
            done["rows"] += warehouse.rows

    lived()
    # Else the worlds would prove nothing.
    assert done["in_part"] > 60, done
    assert done["rows"] > 250, done
