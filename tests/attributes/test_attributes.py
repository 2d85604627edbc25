"""Every kind of attribute (macros/attributes/) gives on DuckDB and PostgreSQL what a slow reference gives over random events:
nulls, ties, edges of windows, emptied windows, events of the future. And what makes no sense is refused by its name."""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cdp_orchestration.project.attribute_columns import colliding_columns
from cdp_orchestration.project.parse import _remedy
from tests.conftest import connect
from tests.identity.test_identity import copy_of_the_project
from tests.support.harness import PROJECT, dbt
from tests.support.macros import rendered

AS_OF = datetime(2026, 11, 1, 12)
PROPERTIES = {"total": "number", "destination": "text", "travellers": "integer", "status": "text", "back_at": "timestamp",
              "insured": "boolean", "extras": "list"}  # fmt: skip
COLUMNS = ["message_id", "profile_id", "type", "event_name", "occurred_at", "source", "arrival", *PROPERTIES]
ENGINES = ["duckdb", "postgres"]
KINDS = {
    re.sub(r".*/", "", name)
    for file in (PROJECT / "dbt_project" / "macros" / "attributes").glob("*.sql")
    for name in re.findall(r"{% macro (\w+_of|formula)\((?:event=|expression)", file.read_text())
}


def refuse(text: str) -> None:
    raise ValueError(text)


def attribute(engine: str, kind: str, *arguments: Any, name: str = "value_of_it", **options: Any) -> str:
    context = {
        "var": lambda name: {"properties": PROPERTIES, "traits": {"country": "text"}}, "ref": lambda name: name, "execute": True,
        "exceptions": type("Exceptions", (), {"raise_compiler_error": staticmethod(refuse)}),
        "model": {"name": name, "original_file_path": f"models/4_attributes/{name}.sql"},
        "graph": {"nodes": {name: Node(name) for name in ("orders", "visits", "joined_at")}},
    }  # fmt: skip
    return str(rendered(engine, kind, *arguments, context=context, **options))


@dataclass
class Node:
    name: str
    resource_type: str = "model"
    fqn: tuple[str, ...] = ("cdp", "4_attributes")


# Worlds of events.


def world(seed: int, size: int = 400) -> list[dict[str, Any]]:
    """Few people, values and moments, so that they meet: many moments are the edge of a window, or a second beside it."""
    draw = random.Random(seed)
    edges = [AS_OF - timedelta(hours=hours) for hours in (0, 6, 24, 24 * 7, 24 * 30, 24 * 90, 24 * 900)]
    edges.append(datetime(2026, 10, 1))
    events = []
    for number in range(size):
        moment = draw.choice(edges) + timedelta(seconds=draw.choice([-86400, -1801, -1800, -1, 0, 0, 0, 1, 1799, 1800]))
        moment += timedelta(microseconds=draw.choice([0, 0, 0, 1, -1]))
        kind = draw.choice(["track", "track", "track", "page", "screen", "identify"])
        events.append(
            {
                "message_id": f"m{number}",
                "profile_id": draw.choice([None, *"abcdefghijkl"]),
                "type": kind,
                "event_name": draw.choice(["Order Completed", "Trip Searched", "Trip's Ün"])
                if kind == "track"
                else None,
                "occurred_at": moment,
                "source": draw.choice(["web", "shop"]),
                "arrival": number,
                "total": draw.choice([None, 0.0, 0.1, 0.2, 0.7, 19.99, -5.5, 1e-10, 123456789.123456, 1e15, 1e300]),
                "destination": draw.choice([None, None, "Rome", "rome", "Bari", "Ärla", 'a "q" \\ b', "Zell", "Åmål"]),
                "travellers": draw.choice([None, 1, 2, 2, 10, -3]),
                "status": draw.choice([None, "open", "done"]),
                "back_at": draw.choice([None, AS_OF, AS_OF + timedelta(days=3)]),
                "insured": draw.choice([None, True, False]),
                "extras": draw.choice([None, '["bag"]', '["bag","seat"]']),
            }
        )
    # People whose events are all old, or all to come.
    for number, (person, moment) in enumerate([("old", edges[-2]), ("new", AS_OF + timedelta(seconds=1))]):
        events.append({**events[0], "message_id": f"x{number}", "profile_id": person, "occurred_at": moment, "arrival": size + number,
                       "type": "track", "event_name": "Order Completed"})  # fmt: skip
    draw.shuffle(events)
    return events


def definitions(engine: str) -> str:
    text = 'text collate "C"' if engine == "postgres" else "text"
    types = {"occurred_at": "timestamp", "arrival": "bigint", "total": "double precision", "travellers": "bigint",
             "back_at": "timestamp", "insured": "boolean"}  # fmt: skip
    return ", ".join(f"{column} {types.get(column, text)}" for column in COLUMNS)


class Engine:
    """Tables `events` and `current_build` of one world."""

    def __init__(self, name: str, cursor: Any, events: list[dict[str, Any]]) -> None:
        self.name, self.cursor, self.events = name, cursor, events
        mark = "%s" if name == "postgres" else "?"
        cursor.execute(f"create temp table events ({definitions(name)})")
        cursor.execute(f"create temp table current_build as select cast('{AS_OF}' as timestamp) as as_of")
        cursor.executemany(
            f"insert into events values ({', '.join([mark] * len(COLUMNS))})",
            [[event[column] for column in COLUMNS] for event in events],
        )

    def rows(self, sql: str) -> dict[str, Any]:
        self.cursor.execute(sql)
        rows = self.cursor.fetchall()
        assert len(rows) == len({row[0] for row in rows}), "a person has two rows"
        return dict(rows)


SEEDS = [1, 2, 3]


@pytest.fixture(scope="module", params=ENGINES)
def engines(request: pytest.FixtureRequest) -> Iterator[list[Engine]]:
    """One engine in several worlds."""
    worlds = [world(seed) for seed in SEEDS]
    if request.param == "duckdb":
        yield [Engine("duckdb", duckdb.connect(), events) for events in worlds]
        return
    server = request.getfixturevalue("postgres")
    functions = (PROJECT / "dbt_project/macros/dialect/postgres_functions.sql").read_text()
    body = re.search(r"postgres_functions\(\) -%}(.*){%- endmacro", functions, re.S)
    assert body
    connections = [connect(server, server["PGDATABASE"]) for _ in worlds]
    with closing(connections[0].cursor()) as cursor:
        cursor.execute(f"create schema if not exists landing; {body.group(1)}")
    yield [Engine("postgres", each.cursor(), events) for each, events in zip(connections, worlds, strict=True)]
    for connection in connections:
        connection.close()


# The reference.


def in_window(moment: datetime, options: dict[str, Any]) -> bool:
    if "last_days" in options:
        return moment > AS_OF - timedelta(days=options["last_days"])
    if "last_hours" in options:
        return moment > AS_OF - timedelta(hours=options["last_hours"])
    if "since" in options:
        return moment >= datetime.fromisoformat(options["since"])
    if "between_days" in options:
        earlier, later = options["between_days"]
        return AS_OF - timedelta(days=earlier) < moment <= AS_OF - timedelta(days=later)
    return True


def exact(value: float) -> Decimal | None:
    """With nine places; what is very large says nothing."""
    return None if abs(value) >= 1e20 else Decimal(repr(value)).quantize(Decimal("1e-9"), ROUND_HALF_UP)


def exact_sum(values: list[float]) -> float | None:
    told = [number for number in map(exact, values) if number is not None]
    return float(sum(told)) if told else None


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def short(number: Decimal) -> Any:
    """As a JSON number without zeros at its end."""
    return int(number) if number == int(number) else float(number)


def expected(
    kind: str, event: Any, property: str | None, events: list[dict[str, Any]], **options: Any
) -> dict[str, Any]:
    names = [event] if isinstance(event, str) else event
    types = options.get("types")
    if kind == "sessions_of" and not names and not types:
        types = ["page", "screen", "track"]
    by_person = defaultdict(list)
    for each in events:
        if (
            each["profile_id"] is not None
            and each["occurred_at"] <= AS_OF
            and (not names or each["event_name"] in names)
            and (not types or each["type"] in types)
            and (not options.get("sources") or each["source"] in options["sources"])
            and all(holds(each, *condition) for condition in options.get("where", []))
        ):
            by_person[each["profile_id"]].append(each)
    found = {}
    for person, theirs in by_person.items():
        seen = sorted(
            (each for each in theirs if in_window(each["occurred_at"], options)),
            key=lambda each: (each["occurred_at"], each["arrival"]),
        )
        if seen or options.get("keep_emptied", True):
            found[person] = one(kind, property, seen, options)
    return found


def holds(event: dict[str, Any], property: str, operator: str, value: Any = None) -> bool:
    said = event[property]
    return (
        said is not None
        and {"exists": lambda: True, ">": lambda: said > value, "equals": lambda: said.lower() == value.lower()}[
            operator
        ]()
    )


def one(kind: str, property: str | None, seen: list[dict[str, Any]], options: dict[str, Any]) -> Any:
    """The value over a person's events in the window, in their order."""
    values = [each[property] for each in seen if each[property] is not None] if property else []
    moments = [each["occurred_at"] for each in seen]
    match kind:
        case "count_of":
            return len(seen)
        case "unique_count_of":
            return len(set(values))
        case "sum_of":
            return exact_sum(values) or 0.0
        case "average_of":
            total = exact_sum(values)
            return None if total is None else total / sum(abs(value) < 1e20 for value in values)
        case "min_of":
            return min(values, default=None)
        case "max_of":
            return max(values, default=None)
        case "first_value_of":
            return values[0] if values else None
        case "last_value_of":
            return values[-1] if values else None
        case "first_time_of":
            return min(moments, default=None)
        case "last_time_of":
            return max(moments, default=None)
        case "most_frequent_of":
            ranked = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
            return ranked[0][0] if ranked and ranked[0][1] >= options.get("at_least", 1) else None
        case "unique_list_of":
            first = {}
            for each in seen:
                if each[property] is not None:
                    first.setdefault(each[property], each["occurred_at"])
            kept = sorted(first, key=lambda value: (first[value], value))[: options.get("capacity", 100)]
            return compact(sorted(kept))
        case "map_of":
            return compact(grouped(seen, property, options))
        case "sessions_of":
            gap = timedelta(minutes=options.get("gap_minutes", 30))
            return sum(1 for place, at in enumerate(moments) if place == 0 or at > moments[place - 1] + gap)
        case "decayed_sum_of":
            life = options["half_life_days"] * 86400
            return sum(
                (each[property] if property else 1) * 0.5 ** ((AS_OF - each["occurred_at"]).total_seconds() / life)
                for each in seen
                if not property or (each[property] is not None and abs(each[property]) < 1e20)
            )
    raise AssertionError(kind)


def grouped(seen: list[dict[str, Any]], property: str | None, options: dict[str, Any]) -> dict[str, Any]:
    groups = defaultdict(list)
    for each in seen:
        keys = tuple(each[key] for key in options["by"])
        if None not in keys and (property is None or each[property] is not None):
            groups[tuple(map(str, keys))].append(each[property] if property else 1)
    nested: dict[str, Any] = {}
    for keys, values in sorted(groups.items()):
        numbers = [number for number in map(exact, values) if number is not None]
        match options.get("aggregate", "sum"):
            case "sum":
                number = sum(numbers) if numbers else None
            case "min":
                number = min(numbers, default=None)
            case "max":
                number = max(numbers, default=None)
            case "average":
                number = exact(float(sum(numbers)) / len(numbers)) if numbers else None
        if number is not None:
            place = nested
            for key in keys[:-1]:
                place = place.setdefault(key, {})
            place[keys[-1]] = short(number)
    return nested


ORDER, SEARCH = "Order Completed", "Trip Searched"
WINDOWS: list[dict[str, Any]] = [
    {}, {"last_days": 30}, {"last_hours": 6}, {"since": "2026-10-01"}, {"since": "2026-10-31 12:00"}, {"between_days": (90, 30)},
    {"between_days": [7, 0]}, {"last_days": 30, "keep_emptied": False},
]  # fmt: skip
CALLS: list[tuple[Any, ...]] = [
    ("count_of", ORDER, None, {}),
    ("count_of", [ORDER, "Trip's Ün"], None, {"types": ["track"]}),
    ("count_of", None, None, {"types": ["page", "screen"]}),
    ("count_of", None, None, {"types": "identify"}),
    ("count_of", ORDER, None, {"where": [("travellers", ">", 1), ("destination", "equals", "Rome")]}),
    ("count_of", ORDER, None, {"where": [("source", "equals", "web")]}),
    ("sum_of", ORDER, "total", {}),
    ("sum_of", ORDER, "total", {"where": [("destination", "exists")]}),
    ("sum_of", ORDER, "travellers", {}),
    ("average_of", ORDER, "total", {}),
    ("average_of", ORDER, "travellers", {}),
    ("min_of", ORDER, "total", {}),
    ("max_of", ORDER, "total", {}),
    ("min_of", SEARCH, "travellers", {}),
    ("max_of", SEARCH, "back_at", {}),
    ("first_value_of", SEARCH, "destination", {}),
    ("last_value_of", SEARCH, "destination", {}),
    ("last_value_of", SEARCH, "insured", {}),
    ("first_value_of", SEARCH, "extras", {}),
    ("last_value_of", ORDER, "total", {}),
    ("first_time_of", ORDER, None, {}),
    ("last_time_of", ORDER, None, {}),
    ("most_frequent_of", SEARCH, "destination", {}),
    ("most_frequent_of", SEARCH, "destination", {"at_least": 2}),
    ("most_frequent_of", SEARCH, "travellers", {}),
    ("most_frequent_of", None, "source", {"types": ["track"]}),
    ("unique_list_of", SEARCH, "destination", {}),
    ("unique_list_of", SEARCH, "destination", {"capacity": 2}),
    ("unique_list_of", SEARCH, "travellers", {"capacity": 1}),
    ("unique_list_of", None, "event_name", {"types": ["track"]}),
    ("unique_count_of", SEARCH, "destination", {}),
    ("unique_count_of", SEARCH, "insured", {}),
    ("map_of", ORDER, None, {"by": ["destination"]}),
    ("map_of", ORDER, None, {"by": ["destination", "travellers", "source"]}),
    ("map_of", ORDER, "total", {"by": ["destination", "status"]}),
    ("map_of", ORDER, "travellers", {"by": ["destination"], "aggregate": "min"}),
    ("map_of", ORDER, "total", {"by": ["destination"], "aggregate": "max"}),
    ("map_of", ORDER, "travellers", {"by": ["status"], "aggregate": "average"}),
    ("sessions_of", None, None, {}),
    ("sessions_of", None, None, {"sources": ["web"], "gap_minutes": 60}),
    ("decayed_sum_of", ORDER, None, {"half_life_days": 30}),
    ("decayed_sum_of", ORDER, "travellers", {"half_life_days": 1}),
    ("decayed_sum_of", ORDER, "total", {"half_life_days": 7}),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: "-".join(str(part) for part in call if part))
def test_every_kind_gives_what_the_reference_gives(call: tuple[Any, ...], engines: list[Engine]) -> None:
    kind, event, property, options = call
    emptied = 0
    for engine in engines:
        for window in WINDOWS:
            given = {"event": event, **({"property": property} if property else {}), **options, **window}
            found = engine.rows(attribute(engine.name, kind, **given))
            due = expected(kind, event, property, engine.events, **options, **window)
            emptied += sum(value in (None, 0, "[]", "{}") for value in due.values())
            if kind == "decayed_sum_of":
                # Powers differ in the last place.
                assert found.keys() == due.keys()
                for person, value in due.items():
                    assert found[person] == pytest.approx(value, rel=1e-9, abs=2e-6), (window, person)
            else:
                assert found == due, window
    assert emptied, "no window emptied for anybody"


FORMULAS = [
    ("orders / nullif(visits, 0)", {}, {"a": 1.5, "b": None, "c": None}),
    ("coalesce(orders, 0) + coalesce(visits, 0) * 2 / 4", {}, {"a": 4.0, "b": 2.0, "c": 2.5}),
    ("case when orders > 2 then 'a/b' else 'it''s' end", {"type": "text"}, {"a": "a/b", "b": "it's", "c": "it's"}),
    ("visits >= 1", {"type": "boolean"}, {"a": True, "b": None, "c": True}),
]


@pytest.mark.parametrize(("expression", "options", "due"), FORMULAS)
def test_a_formula_is_over_other_attributes(
    expression: str, options: dict[str, str], due: dict[str, Any], engines: list[Engine]
) -> None:
    engine = engines[0]
    for name, rows in {"orders": "('a', 3), ('b', 2)", "visits": "('a', 2), ('b', null), ('c', 5)"}.items():
        engine.cursor.execute(f"drop table if exists {name}")
        engine.cursor.execute(f"create temp table {name} (profile_id text, {name} bigint)")
        engine.cursor.execute(f"insert into {name} values {rows}")
    assert engine.rows(attribute(engine.name, "formula", expression, ["orders", "visits"], **options)) == due


REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("count_of", (), {}, r"count_of: event is \[\]; write a name"),
    ("count_of", ("",), {}, "event is"),
    ("count_of", (ORDER,), {"last_day": 3}, "last_day is no argument; there are types, where, as"),
    ("count_of", (ORDER,), {"sources": ["web"]}, "sources is no argument"),
    ("count_of", (), {"types": ["click"]}, "a message is one of identify, track"),
    ("count_of", (ORDER,), {"last_days": 0}, "last_days is 0; write a whole number from 1"),
    ("count_of", (ORDER,), {"last_days": -7}, "last_days is -7"),
    ("count_of", (ORDER,), {"last_days": "7"}, "last_days is 7"),
    ("count_of", (ORDER,), {"last_hours": 1.5}, "last_hours is 1.5"),
    ("count_of", (ORDER,), {"since": "yesterday"}, "since is yesterday; write a day"),
    ("count_of", (ORDER,), {"since": "2026-02-30"}, "since is 2026-02-30"),
    ("count_of", (ORDER,), {"between_days": (30, 90)}, "the earlier end first"),
    ("count_of", (ORDER,), {"between_days": (30, 30)}, "between_days is"),
    ("count_of", (ORDER,), {"between_days": 30}, "between_days is 30"),
    ("count_of", (ORDER,), {"between_days": (30, -1)}, "between_days is"),
    ("count_of", (ORDER,), {"last_days": 30, "since": "2026-01-01"}, "last_days and since are two windows; keep one"),
    ("count_of", (ORDER,), {"as": "90d"}, "write as='a_name'"),
    ("count_of", (ORDER,), {"as": "profile_id"}, "write as='a_name'"),
    ("count_of", (ORDER,), {"as": "Country"}, "its column Country has the name of a trait: .*as='Country_of_events'"),
    ("sum_of", (ORDER,), {}, r"property is missing; .*vars\.catalogue\.properties"),
    ("sum_of", (ORDER, "totl"), {}, r"property totl is not declared; there are .*total.* dbt_project\.yml"),
    ("sum_of", (ORDER, "destination"), {}, "property destination is of type text; this needs one of number, money, integer"),
    ("average_of", (ORDER, "insured"), {}, "insured is of type boolean"),
    ("min_of", (ORDER, "destination"), {}, "destination is of type text"),
    ("most_frequent_of", (ORDER, "extras"), {}, "extras is of type list"),
    ("most_frequent_of", (ORDER, "destination"), {"at_least": 0}, "at_least is 0"),
    ("unique_list_of", (ORDER, "total"), {}, "total is of type number; this needs one of text"),
    ("unique_list_of", (ORDER, "destination"), {"capacity": 0}, "capacity is 0"),
    ("unique_count_of", (ORDER, "extras"), {}, "extras is of type list"),
    ("map_of", (ORDER,), {}, "by is .*write one to three properties"),
    ("map_of", (ORDER,), {"by": ["destination", "status", "travellers", "source"]}, "write one to three properties"),
    ("map_of", (ORDER,), {"by": ["total"]}, "by total is of type number"),
    ("map_of", (ORDER, "destination"), {"by": ["status"]}, "destination is of type text"),
    ("map_of", (ORDER, "total"), {"by": ["status"], "aggregate": "median"}, "aggregate is median; write sum, min"),
    ("sessions_of", (), {"gap_minutes": 0}, "gap_minutes is 0"),
    ("decayed_sum_of", (ORDER, "total"), {}, "half_life_days is None"),
    ("formula", ("a / b", ["orders", "visitz"]), {}, r"of visitz is no attribute; there are joined_at, orders, visits\."),
    ("formula", ("a / b", []), {}, "of is empty"),
    ("formula", ("orders", ["orders"]), {"type": "coins"}, "type is coins; write one of"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arguments", "options", "told"), REFUSED)
def test_what_makes_no_sense_is_refused_by_its_name(
    kind: str, arguments: tuple[Any, ...], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        attribute("duckdb", kind, *arguments, **options)
    assert str(refused.value).startswith(f"models/4_attributes/value_of_it.sql: {kind}: ")


def test_a_column_has_a_name_of_its_own() -> None:
    """For what no helper made `cdp check` tells it, with both files."""

    def node(name: str, *columns: str) -> dict[str, Any]:
        return {"name": name, "resource_type": "model", "fqn": ["cdp", "4_attributes", name], "columns": dict.fromkeys(columns),
                "original_file_path": f"models/4_attributes/{name}.sql"}  # fmt: skip

    nodes = [node("a", "profile_id", "a"), node("b", "profile_id", "A", "Country"), node("country")]
    told = colliding_columns({"nodes": {each["name"]: each for each in nodes}}, ["country"])
    assert [each.split(" has the name of ")[0] for each in told] == [
        "models/4_attributes/b.sql: its column 'A'",
        "models/4_attributes/b.sql: its column 'Country'",
        "models/4_attributes/country.sql: its column 'country'",
    ]
    assert "of the column a of models/4_attributes/a.sql: " in told[0]
    assert "of the trait country of dbt_project.yml: " in told[1]


def test_a_formula_over_what_is_no_model_is_told_what_it_may_have_meant() -> None:
    """dbt finds it when it parses, before any macro can."""
    told = "Model 'model.cdp.x' (dbt_project/models/4_attributes/x.sql) depends on a node named 'order_cout' which was not found"
    assert _remedy(told) == "\nCorrect the name (is it order_count?), or add the model order_cout.sql."
    assert _remedy(told.replace("order_cout", "zzz")) == "\nCorrect the name, or add the model zzz.sql."
    assert _remedy("Another error") == ""


@pytest.mark.builds
def test_every_example_of_the_page_runs(tmp_path: Path) -> None:
    """docs/attributes.md, as models of a copy of the project: compiled by dbt, run on the columns that events has."""
    page = (PROJECT / "docs" / "attributes.md").read_text()
    examples = re.findall(r"```sql\n-- (dbt_project/models/4_attributes/(\w+)\.sql)\n(.*?)```", page, re.S)
    assert len(examples) >= 12
    assert len(examples) == page.count("```sql"), "an example without its file"
    assert {kind for kind in KINDS if f"{kind}(" in "".join(sql for *_, sql in examples)} >= KINDS - {
        "min_of",
        "first_time_of",
        "last_value_of",
    }
    project = copy_of_the_project(tmp_path / "project")
    for path, _, sql in examples:
        (project / path).write_text(sql)
    home = tmp_path / "home"
    done = dbt(project, home, "compile", "--select", *(name for _, name, _ in examples))
    assert done.returncode == 0, done.stdout[-3000:]

    declared = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["catalogue"]["properties"]
    types = {name: entry if isinstance(entry, str) else entry["type"] for name, entry in declared.items()}
    columns = {"message_id": "text", "profile_id": "text", "type": "text", "event_name": "text", "occurred_at": "timestamp",
               "source": "text", "arrival": "bigint"}  # fmt: skip
    columns |= {
        name: {"number": "double", "money": "double", "integer": "bigint"}.get(each, "text")
        for name, each in types.items()
    }
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema staging; create schema profiles; create schema attributes")
        connection.execute(f"create table staging.current_build as select timestamp '{AS_OF}' as as_of")
        connection.execute(
            f"create table profiles.events ({', '.join(f'{name} {each}' for name, each in columns.items())})"
        )
        connection.execute(
            "insert into profiles.events by name select 'p' as profile_id, case when event_name is null then 'page' else 'track' end as type, event_name, "
            f"timestamp '{AS_OF}' as occurred_at, 'web' as source, 'Rome' as destination, 2 as travellers, 310.5 as total, "
            "7 as price from (values ('Order Completed'), ('Product Viewed'), ('Product Added'), ('Trip Searched'), "
            "('Email Opened'), (null)) as told (event_name)"
        )
        for name in ("order_count", "sessions_30d"):
            connection.execute(f"create table attributes.{name} as select 'p' as profile_id, 3::bigint as {name}")
        connection.execute(
            "create table profiles.orders as select 'p' as profile_id, 'paid' as status, 7.0 as amount_usd, "
            f"timestamp '{AS_OF}' as ordered_at"
        )
        found, columns_of = {}, {}
        for path, name, _ in examples:
            cursor = connection.execute((home / "dbt" / "compiled" / "cdp" / path).read_text())
            columns_of[name] = [column[0] for column in cursor.description or ()]
            found[name] = cursor.fetchall()
    assert columns_of.pop("rfm_of_orders") == ["profile_id", "recency", "frequency", "monetary", "rfm_segment"]
    assert len(columns_of.pop("app_behaviour")) == 10
    assert columns_of == {name: ["profile_id", name] for name in columns_of}
    assert found.pop("big_orders_90d") == [("p", 1)]
    assert found.pop("spent_by_destination") == [("p", '{"Rome":{"2":310.5}}')]
    assert found.pop("liked_destination") == [("p", "Rome")]
    assert found.pop("orders_per_visit") == [("p", 1.0)]
    assert {name for name, rows in found.items() if len(rows) != 1} == set()


def test_the_page_names_the_segments_as_rfm_does() -> None:
    """Every pair of recency and frequency, by the helper's case."""
    case = rendered("duckdb", "rfm_segment", "recency", "frequency")
    page = (PROJECT / "docs" / "attributes.md").read_text()
    table = [line.strip("| ").split(" | ") for line in page[page.index("| recency |") :].splitlines()[2:6]]
    named = {(int(recency), frequency): name for scores, *names in table for recency in scores.split(", ")
             for frequency, name in enumerate(names, 1)}  # fmt: skip
    with duckdb.connect() as connection:
        sql = f"select recency, frequency, {case} from range(1, 6) r(recency), range(1, 6) f(frequency)"
        assert {(recency, frequency): name for recency, frequency, name in connection.execute(sql).fetchall()} == named
