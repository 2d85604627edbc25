"""Event properties of the catalogue: what each type reads, what is of another type, and which declarations are refused."""

import json
from contextlib import closing
from datetime import datetime
from typing import Any

import duckdb
import pytest

from tests.conftest import connect
from tests.support.macros import rendered

TYPES = ["text", "email", "phone", "number", "money", "integer", "boolean", "date", "timestamp", "list", "map", "tag"]
NOON = datetime(2026, 10, 1, 12)
WRONG = object()

# What a value is under each type: WRONG goes to quarantine, None says nothing.
MEANT: list[tuple[Any, dict[str, Any]]] = [
    ("Rome", {"text": "Rome", "number": WRONG, "integer": WRONG, "boolean": WRONG, "timestamp": WRONG, "list": WRONG, "email": WRONG, "tag": True}),
    (12.5, {"text": "12.5", "number": 12.5, "integer": WRONG, "boolean": WRONG, "list": WRONG}),
    ("34.32", {"number": 34.32, "integer": WRONG}),
    ("12", {"number": 12.0, "integer": 12}),
    (12.0, {"integer": 12}),
    (-3, {"number": -3.0, "integer": -3}),
    ("1e3", {"number": 1000.0}),
    ("nan", {"number": WRONG}),
    ("inf", {"number": WRONG}),
    ("$1,234.50", {"number": WRONG, "money": 1234.5, "text": "$1,234.50"}),
    ("12,50", {"money": WRONG}),
    (7, {"money": 7.0}),
    ("1e400", {"number": WRONG, "money": WRONG}),
    (True, {"boolean": True, "number": WRONG, "tag": True}),
    ("False", {"boolean": False}),
    ("yes", {"boolean": True}),
    (0, {"boolean": False}),
    ("2026-10-01T12:00:00Z", {"timestamp": NOON, "date": datetime(2026, 10, 1)}),
    ("2026-10-01T14:00:00+02:00", {"timestamp": NOON}),
    ("2026-13-45", {"timestamp": WRONG, "date": WRONG}),
    ([1, "a"], {"list": '[1,"a"]', "map": WRONG, "text": WRONG, "number": WRONG, "tag": True}),
    ({"a": 1}, {"map": '{"a":1}', "list": WRONG, "text": WRONG}),
    ([], {"list": "[]", "text": WRONG}),
    (" Jane@Example.com ", {"email": "jane@example.com", "text": " Jane@Example.com "}),
    ("n/a", {"email": WRONG}),
    ("+39 06 123 456", {"phone": "3906123456"}),
    ("", {"text": None, "number": None, "integer": None, "boolean": None, "timestamp": None, "email": None}),
    ("  ", {"text": None, "number": None}),
    (None, dict.fromkeys(TYPES)),
]  # fmt: skip
IDENTITY = {
    "identifiers": {"email": {"priority": 1, "normalise": "email"}, "phone": {"priority": 2, "normalise": "phone"}},
    "calling_code": "",
    "blocked_values": ["n/a"],
}
PROPERTIES = {name: {"type": name, "from": [["value"]]} for name in TYPES}


def sql_of(engine: str, properties: dict[str, Any]) -> str:
    """A select of place, typed_1 …, and the faults, over the table `told` of place and properties."""
    inner = rendered(engine, "with_typed_properties", "told", "properties", properties, rules=IDENTITY)
    faults = rendered(engine, "wrong_types", properties, rules=IDENTITY)
    typed = ", ".join(f"typed_{number}" for number, _ in enumerate(properties, 1))
    return f"select place, {typed}, {faults} as faults from ({inner}) as typed order by place"


def told() -> str:
    rows = [json.dumps({"value": value}, separators=(",", ":")).replace("'", "''") for value, _ in MEANT]
    return "select * from (values " + ", ".join(f"({n}, '{row}')" for n, row in enumerate(rows)) + ") as told (place, properties)"  # fmt: skip


def check(rows: list[tuple[Any, ...]]) -> None:
    checked = 0
    for (value, meant), (_, *typed, faults) in zip(MEANT, rows, strict=True):
        wrong = [fault["field"] for fault in json.loads(f"[{faults or ''}]")]
        held = dict(zip(TYPES, typed, strict=True))
        for name, expected in meant.items():
            checked += 1
            assert held[name] == (None if expected is WRONG else expected), f"{value!r} as {name}"
        refused = sum(
            1 for name in TYPES if name != "tag" and held[name] is None and value is not None and str(value).strip()
        )
        assert len(wrong) == refused, f"{value!r}: each type that refuses it says so once"
        assert set(wrong) <= {"properties.value"}
    assert checked > 60


def test_duckdb_reads_each_type() -> None:
    with duckdb.connect() as connection:
        connection.execute(f"create table told as {told()}")
        check(connection.execute(sql_of("duckdb", PROPERTIES)).fetchall())


def test_postgres_reads_each_type(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("create schema landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        cursor.execute(f"create table told as {told()}")
        cursor.execute(sql_of("postgres", PROPERTIES))
        check(cursor.fetchall())


def test_the_first_path_that_is_there_counts_and_the_fault_names_it() -> None:
    properties = {"amount": {"type": "number", "from": [["total"], ["order", "value"]]}}
    with duckdb.connect() as connection:
        rows = [
            '{"total":1,"order":{"value":2}}',
            '{"order":{"value":2}}',
            '{"order":{"value":"x"}}',
            '{"order":3}',
            "{}",
        ]
        connection.execute("create table told (place integer, properties varchar)")
        connection.executemany("insert into told values (?, ?)", list(enumerate(rows)))
        found = connection.execute(sql_of("duckdb", properties)).fetchall()
    assert [amount for _, amount, _ in found] == [1.0, 2.0, None, None, None]
    assert [json.loads(faults)["field"] for *_, faults in found if faults] == ["properties.order.value"]


SAID = [
    '{"price":1,"colour":"red","size":null}',
    '{"order":{"value":2,"rabatt":{"a":1}},"o\'clock":[1]}',
    '{"order":7,"cart":{"value":1,"more":true}}',
    "{}",
]
PATHS = [["price"], ["order", "value"], ["cart"], ["cart", "value"]]


def check_undeclared(engine: str, execute: Any) -> None:
    entries = rendered(engine, "undeclared_entries", "said_by", ["place"], "said", PATHS)
    kind = rendered(engine, "value_kind", "value")
    rows = execute(f"select place, name, {kind} as kind from ({entries}) as entries order by place, name")
    assert [tuple(row) for row in rows] == [
        (0, "colour", "text"),
        (1, "o'clock", "array"),
        (1, "order.rabatt", "object"),
        (2, "order", "number"),  # it is no object, so nothing of it is read
    ]


def said_in() -> str:
    rows = ", ".join("({}, '{}')".format(place, text.replace("'", "''")) for place, text in enumerate(SAID))
    return f"create table said_by as select * from (values {rows}) as told (place, said)"


def test_duckdb_tells_what_no_path_reads() -> None:
    with duckdb.connect() as connection:
        connection.execute(said_in())
        check_undeclared("duckdb", lambda sql: connection.execute(sql).fetchall())


def test_postgres_tells_what_no_path_reads(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute(said_in())

        def execute(sql: str) -> list[tuple[Any, ...]]:
            cursor.execute(sql)
            return cursor.fetchall()

        check_undeclared("postgres", execute)


JUDGED = {"money_is_judged": "place = 0", "judged_amounts": ["properties.total"]}


def test_what_staging_has_judged_is_told_once() -> None:
    """An order's total; another amount of the order is told here."""
    properties = {name: {"type": "money", "from": [[name]]} for name in ("total", "price")}
    inner = rendered("duckdb", "with_typed_properties", "told", "properties", properties, rules=IDENTITY)
    faults = rendered("duckdb", "wrong_types", properties, rules=IDENTITY, **JUDGED)
    with duckdb.connect() as connection:
        connection.execute(
            'create table told as select unnest([0, 1]) as place, \'{"total":"x","price":"y"}\' as properties'
        )
        found = connection.execute(f"select {faults} from ({inner}) as typed order by place").fetchall()
    fields = [[fault["field"] for fault in json.loads(f"[{row[0]}]")] for row in found]
    assert fields == [["properties.price"], ["properties.total", "properties.price"]]


class Refused(Exception):
    pass


def declared(properties: dict[str, Any]) -> Any:
    def refuse(text: str) -> None:
        raise Refused(text)

    return rendered(
        "duckdb", "catalogue_properties", rules={"properties": properties}, context={"exceptions": {"raise_compiler_error": refuse}}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"total": "coins"}, r"total is .*coins.*write a type \(text, email"),
        ({"total": {"type": "number", "form": ["x"]}}, "total is"),
        ({"total": {"type": "number", "from": "value"}}, "total is"),
        ({"total": {"type": "number", "pii": "secret"}}, "pii is secret; write none, pii or special"),
        ({"order value": "number"}, "is no name of a column.*from"),
        ({"wrong_types": "text"}, r"is a column of profiles.events already"),
        ({"source": "text"}, r"is a column of profiles.events already.*from: \[source\]"),
        ({"Total": "number", "total": "number"}, "is there twice"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_by_name(properties: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=rf"(?s)dbt_project.yml: vars.catalogue.properties: .*{told}"):
        declared(properties)


def test_what_is_declared_is_read_with_its_paths() -> None:
    assert declared({"price": "number", "value_of_cart": {"type": "number", "from": ["value", "cart.value"]}}) == {
        "price": {"type": "number", "from": [["price"]]},
        "value_of_cart": {"type": "number", "from": [["value"], ["cart", "value"]]},
    }
