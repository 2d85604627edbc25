"""A mapping as messages: from which field each column comes, what cannot be read, and what is refused. On DuckDB and PostgreSQL."""

import hashlib
import json
from contextlib import closing
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from tests.conftest import connect
from tests.staging.test_enrichers import CONTEXT, CREATE, Refused
from tests.support.macros import rendered

LANDED_AT = datetime(2026, 10, 9)
STRANGE = "Tier \"new\" it's/\\ 100%"


def entry(enricher: str, *arguments: Any, **named: Any) -> Any:
    return rendered("duckdb", enricher, *arguments, context=CONTEXT, **named)


# A person of a shop's till, with every kind of field.
PEOPLE = {
    "type": "identify",
    "key": "no",
    "snapshot": True,
    "occurred_at": entry("date_of", "changed", formats=["DD.MM.YYYY HH24:MI"], timezone="Europe/Rome"),
    "identifiers": {
        "user_id": "no",
        "email": ["email", "contact.email"],
        "email_sha256": entry("sha256", "email", normalise="email"),
    },
    "traits": {
        "first_name": "contact.name",
        "country": entry("country_iso", "address.country"),
        "tier": entry("value_map", entry("field", [STRANGE]), {"1": "gold", "2": "it's"}, default="none"),
        "source_system": entry("constant", "till"),
        "children": entry("number", "children"),
        "has_car": entry("boolean", "car"),
        "tags": entry("json", "tags"),
        "born_on": entry("date_of", "born", formats="DD/MM/YYYY"),
        "seen_at": entry("epoch", "seen"),
        "phone": entry("first_of", "mobile", "phone"),
        "name": entry("expression", "{contact.name} || ' ' || {surname}"),
        'odd "name"': "no",
    },
    "consent": {
        "email_marketing": entry("value_map", "opt_in", {"yes": "granted", "no": "denied"}),
        "profiling": entry("value_map", "profiling", {"1": "granted"}, default="denied"),
    },
    "regulation": "ccpa",
    "context": {"version": "version"},
}
SAID: list[dict[str, Any] | str] = [
    {"no": 7.0, "changed": "01.07.2026 12:00", "email": "Jane@X.example", "contact": {"email": "j@y.example", "name": "Jane"},
     "address": {"country": "italia"}, STRANGE: "1", "children": "+2", "car": "yes", "tags": ["a", {"b": None}], "born": "29/02/1984",
     "seen": 1790000000.5, "mobile": " ", "phone": "+39 06", "surname": "Doe", "opt_in": "yes", "profiling": "1", "version": 3},
    {"no": "8", "changed": "31.02.2026 12:00", "address": {"country": "Atlantis"}, STRANGE: 2, "children": "two", "car": "maybe",
     "born": "1984", "seen": "soon", "opt_in": "perhaps", "email": ["a@x.example"], "tags": None},
    {"no": " "},
    {"no": "9", "changed": "  "},
    "[1]",
]  # fmt: skip


def people() -> list[dict[str, Any]]:
    """What they become."""
    jane = {
        "first_name": "Jane", "country": "IT", "tier": "gold", "source_system": "till", "children": 2, "has_car": True,
        "tags": ["a", {"b": None}], "born_on": "1984-02-29", "seen_at": "2026-09-21T14:13:20.5Z", "phone": "+39 06", "name": "Jane Doe",
        'odd "name"': "7",
    }  # fmt: skip
    faults = [
        ("address.country", "unknown_country", "Atlantis"), ("children", "not_a_number", "two"), ("car", "not_a_boolean", "maybe"),
        ("born", "bad_date", "1984"), ("seen", "bad_date", "soon"), ("opt_in", "unknown_consent", "perhaps"),
    ]  # fmt: skip
    nothing = {"type": "identify", "message_id": None, "event_name": None, "properties": None, "missing_field": None, "unusable_field": None}
    return [
        {**nothing, "record_key": "7", "occurred_at": datetime(2026, 7, 1, 10), "occurred_is_impossible": False, "traits": jane,
         "identifiers": [("user_id", "7"), ("email", "Jane@X.example"), ("email", "j@y.example"),
                         ("email_sha256", hashlib.sha256(b"jane@x.example").hexdigest())],
         "consent": [("email_marketing", "granted"), ("profiling", "granted")], "context": {"version": "3"}},
        {**nothing, "record_key": "8", "occurred_at": LANDED_AT, "occurred_is_impossible": True,
         "traits": {"tier": "it's", "source_system": "till", 'odd "name"': "8"}, "identifiers": [("user_id", "8")], "consent": None,
         "context": {}, "unusable_field": faults},
        {**nothing, "record_key": " ", "occurred_at": LANDED_AT, "occurred_is_impossible": False, "missing_field": "no"},
        {**nothing, "record_key": "9", "occurred_at": LANDED_AT, "occurred_is_impossible": False, "identifiers": [("user_id", "9")]},
        {**nothing, "record_key": None, "missing_field": "no"},
    ]  # fmt: skip


RECEIPTS = {
    "type": "track", "event": entry("value_map", "kind", {"sale": "Order Completed", "back": "Order Refunded"}), "key": ["shop", "no"],
    "cursor": "changed", "occurred_at": "sold", "received_at": "sent", "timezone": "Europe/Rome", "required": ["sold", "total"],
    "identifiers": {"user_id": "card"},
    "properties": {"order_id": "no", "currency": "currency", "updated_at": entry("change_time", "changed"),
                   "total": entry("money", "total", currency="currency"), "lines": entry("json", "lines"),
                   "total_usd": entry("in_base_currency", "total", "currency", "sold")},
}  # fmt: skip
SOLD: list[dict[str, Any] | str] = [
    {"shop": "s1", "no": 1, "kind": "sale", "changed": "2026-01-02", "sold": "2026-01-15 10:00", "sent": 1768500000, "card": "c1", "currency": "EUR",
     "total": "10.005", "lines": [{"sku": 1}]},
    {"shop": "s1", "no": 2, "kind": "gift", "changed": "2062-01-01", "sold": "2026-01-15 10:00", "sent": "soon", "card": "c1", "currency": "CHF",
     "total": "5"},
    {"shop": "s1", "no": 3, "kind": "back", "changed": "soon", "sold": "2026-01-15 10:00", "card": "c1", "currency": "€", "total": "€ 1,000.00"},
    {"shop": "s1", "no": 4, "kind": "sale", "sold": "2026-01-15 10:00", "currency": "coins", "total": "five"},
    {"shop": "s1", "no": 5, "kind": "sale", "sold": "", "total": 1},
    {"shop": "s1", "no": 6, "kind": "sale", "sold": "2026-01-15 10:00", "total": ""},
]  # fmt: skip


def receipts() -> list[dict[str, Any]]:
    def id_of(no: int, cursor: str = "") -> str:
        return hashlib.md5(f"till|receipts|s1|{no}|{cursor}".encode()).hexdigest()

    sold = {"occurred_at": datetime(2026, 1, 15, 9), "occurred_is_impossible": False, "missing_field": None}
    return [
        {**sold, "message_id": id_of(1, "2026-01-02"), "event_name": "Order Completed", "received_at": datetime(2026, 1, 15, 18),
         "properties": {"order_id": "1", "currency": "EUR", "updated_at": "2026-01-02", "total": 10.01, "lines": [{"sku": 1}], "total_usd": 11.01},
         "unusable_field": None, "consent": None, "traits": None},
        {**sold, "message_id": id_of(2, "2062-01-01"), "event_name": "gift", "received_at": LANDED_AT,
         "properties": {"order_id": "2", "currency": "CHF", "updated_at": "2062-01-01", "total": 5.0},
         "unusable_field": [("total", "no_rate", "5"), ("changed", "future_timestamp", "2062-01-01"), ("sent", "bad_date", "soon")]},
        {**sold, "message_id": id_of(3, "soon"), "properties": {"order_id": "3", "currency": "€", "total": "€ 1,000.00", "total_usd": 1100.0},
         "unusable_field": [("changed", "impossible_timestamp", "soon")]},
        {**sold, "properties": {"order_id": "4", "currency": "coins", "total": "five"},
         "unusable_field": [("total", "not_money", "five"), ("currency", "not_a_currency", "coins")]},
        {"occurred_at": None, "occurred_is_impossible": False, "missing_field": "sold"},
        {**sold, "missing_field": "total"},
    ]  # fmt: skip


LINES = {"type": "track", "event": "Seen", "identifiers": {"user_id": "who"}}
MAPPINGS: list[tuple[str, dict[str, Any], list[dict[str, Any] | str], list[dict[str, Any]]]] = [
    ("people", PEOPLE, SAID, people()),
    ("receipts", RECEIPTS, SOLD, receipts()),
    # Without a key and an id, what a record says is told apart by its order; what is no object says nothing.
    ("lines", LINES, [{"who": "a"}, "7"], [{"message_id": None, "record_key": None, "record_hash": '{"who":"a"}', "occurred_at": LANDED_AT},
                                           {"message_id": None, "record_hash": None, "missing_field": None, "identifiers": []}]),
    ("named", {**LINES, "message_id": "id"}, [{"id": "m1", "who": "a"}, {"who": "a"}],
     [{"message_id": "m1", "missing_field": None}, {"message_id": None, "missing_field": "id"}]),
]  # fmt: skip
# In the order of the macro; `context` is a word of rendered(), too.
ARGUMENTS: dict[str, Any] = {
    "type": None, "event": None, "key": [], "cursor": None, "snapshot": False, "message_id": None, "identifiers": {}, "traits": {},
    "properties": {}, "context": {}, "consent": {}, "regulation": "gdpr", "occurred_at": None, "received_at": None, "timezone": "UTC",
    "previous_id": None, "required": [],
}  # fmt: skip
LANDING = """create table landed (_batch_id text, _batch_seq bigint, _record_no bigint, _landed_at timestamp, _file text, _error text,
    _payload text, _document text)"""


def read(column: str, value: Any) -> Any:
    """A column as Python: arrays as (type, value), (purpose, state) or (field, reason, detail)."""
    if value is None or column not in ("identifiers", "consent", "unusable_field", "traits", "properties", "context"):
        return value
    found = json.loads(value)
    names = {"identifiers": ("type", "value"), "consent": ("purpose", "state"), "unusable_field": ("field", "reason", "detail")}.get(column)
    return found if names is None else [tuple(each.get(name) for name in names) for each in found]


def mapped(engine: str, arguments: dict[str, Any], declared: list[Any] | None = None) -> str:
    context = {
        **CONTEXT,
        "source": lambda *_: "landed",
        "config": lambda **given: declared.append(given["meta"]["mapping"]) if declared is not None else None,
        "ref": lambda name: name,
    }
    given = [arguments.get(name, default) for name, default in ARGUMENTS.items()]
    return str(rendered(engine, "mapping", "till", "receipts", *given, context=context))


def check(execute: Any, engine: str) -> None:
    for name, arguments, records, meant in MAPPINGS:
        execute("delete from landed")
        for number, record in enumerate(records):
            text = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False, separators=(",", ":"))
            text = text.replace("'", "''")
            execute(f"insert into landed values ('b', 1, {number}, timestamp '{LANDED_AT}', 'f', null, '{text}', null)")
        columns = sorted({column for row in meant for column in row})
        rows = execute(f"select {', '.join(columns)} from ({mapped(engine, arguments)}) as mapped order by record_no")
        assert len(rows) == len(meant)
        for row, expected in zip(rows, meant, strict=True):
            held = {column: read(column, value) for column, value in zip(columns, row, strict=True)}
            assert {column: held[column] for column in expected} == expected, name


def test_duckdb_maps_each_field() -> None:
    with duckdb.connect() as connection:
        for statement in [*CREATE, LANDING, "insert into countries values ('italia', 'IT', 'ITA')"]:
            connection.execute(statement)
        check(lambda sql: connection.execute(sql).fetchall(), "duckdb")


def test_postgres_maps_each_field(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("set jit = off")  # as the platform does
        cursor.execute("create schema landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        for statement in [*CREATE, LANDING, "insert into countries values ('italia', 'IT', 'ITA')"]:
            cursor.execute(statement)

        def execute(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchall() if sql.startswith("select") else None

        check(execute, "postgres")
