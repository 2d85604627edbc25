"""A mapping as messages: from which field each column comes, what cannot be read, and what is refused. On DuckDB and PostgreSQL."""

import hashlib
import json
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.project.mappings import SEGMENT, Mapped, mapped_by, repeated_values
from cdp_orchestration.queries.mapping import mapping
from tests.conftest import connect
from tests.staging.test_enrichers import CONTEXT, CREATE, Refused
from tests.support.macros import rendered

LANDED_AT = datetime(2026, 10, 9)
STRANGE = 'Tier "new" it\'s/\\ 100%'


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
    nothing = {
        "type": "identify",
        "message_id": None,
        "event_name": None,
        "properties": None,
        "missing_field": None,
        "unusable_field": None,
    }
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
    names = {
        "identifiers": ("type", "value"),
        "consent": ("purpose", "state"),
        "unusable_field": ("field", "reason", "detail"),
    }.get(column)
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"type": "trak"}, "'trak' is none; write one of identify, track"),
        ({"type": "track"}, "a track has one: write event="),
        ({"type": "identify", "cursor": "changed"}, "name the fields that tell the rows apart"),
        ({"type": "identify", "snapshot": True}, "name the fields that tell the rows apart"),
        ({"type": "identify", "key": "no", "cursor": "at", "snapshot": True}, "leave one of the two out"),
        ({"type": "identify", "key": "no", "message_id": "id"}, "leave one of the two out"),
        ({"type": "identify", "traits": {"age": 7}}, "7 is no field; write its name, or constant('7')"),
        ({"type": "identify", "occurred_at": entry("number", "at")}, "number gives no time"),
    ],
)
def test_a_mapping_that_contradicts_itself_is_refused_with_its_file(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        mapped("duckdb", arguments)
    assert "stg_till__receipts.sql" in str(refused.value)
    assert told in str(refused.value)


def test_a_mapping_says_in_the_manifest_what_it_maps() -> None:
    declared: list[Any] = []
    mapped("duckdb", RECEIPTS, declared)
    said = [
        str(Mapped(each["field"], each["target"], each["name"], each["how"])) + f" <- {each['field']}"
        for each in declared[0]
    ]
    assert said[:4] == ["key <- shop", "key <- no", "event (value_map) <- kind", "identifier user_id <- card"]
    assert "property total (money) <- currency" in said
    assert said[-3:] == ["occurred_at <- sold", "received_at <- sent", "cursor <- changed"]


BY_HAND = """with records as (
    {{ landed(source('till', 'receipts'), [
        'receipt_no', 'card', 'total', 'note', 'sold_at',
    ]) }}
)
select
    {{ record_columns() }},
    {{ keyed_message_id('till', 'receipts', key=['receipt_no'], cursor="''") }} as message_id,
    cast(total as text) as occurred_text,
    {{ to_utc('sold_at') }} as occurred_at,
    {{ identifiers({'user_id': 'card'}) }} as identifiers,
    {{ object({'order_id': 'receipt_no'}, numbers={'total': 'total'}) }} as properties,
    case when receipt_no is null then 'receipt_no' end as missing_field
from records
"""


def model(code: str = "", **meta: Any) -> dict[str, Any]:
    return {"config": {"meta": meta}, "raw_code": code}


def test_of_a_model_by_hand_its_sql_tells_what_is_mapped() -> None:
    assert [(each.field, each.target) for each in mapped_by(model(BY_HAND))] == [
        ("receipt_no", "message_id"), ("receipt_no", "property"), ("card", "identifier"), ("total", "property"), ("sold_at", "occurred_at"),
    ]  # fmt: skip
    table = {
        "key": ["sku"],
        "columns": {"name": "text", "cost": {"type": "money", "from": ["unit price"]}},
        "cursor": "changed",
    }
    assert [str(each) for each in mapped_by(model(table=table))] == [
        "key",
        "column name (text)",
        "column cost (money)",
        "cursor",
    ]
    assert mapped_by(model("{{ segment_messages(source('web', 'events')) }}")) == SEGMENT


def test_a_value_that_is_mapped_twice_is_found() -> None:
    assert repeated_values(
        "{{ mapping('a', 'b', traits={'tier': value_map('t', {'1': 'x', '2': 'y', '1': 'z'})}) }}"
    ) == ["1"]
    assert repeated_values("{{ value_map('t', {'1': 'x', '2': 'y'}) }}") == []


MANIFEST: dict[str, Any] = {
    "sources": {"source.cdp.till.people": {"source_name": "till", "name": "people"}},
    "nodes": {
        "model.cdp.stg_till__people": {
            "name": "stg_till__people", "resource_type": "model", "fqn": ["cdp", "1_staging", "stg_till__people"],
            "depends_on": {"nodes": ["source.cdp.till.people"]},
            **model(mapping=[
                {"field": "no", "target": "key", "name": None, "how": None},
                {"field": "mail", "target": "identifier", "name": "email", "how": None},
                {"field": "first", "target": "trait", "name": "first_name", "how": None},
                {"field": "address", "target": "trait", "name": "address", "how": "json"},
                {"field": "gone", "target": "trait", "name": "gone", "how": None},
                {"field": "empty", "target": "trait", "name": "empty", "how": None},
                {"field": None, "target": "trait", "name": "origin", "how": "constant"},
            ]),
        }
    },
}  # fmt: skip


def answer(
    home: Path, monkeypatch: pytest.MonkeyPatch, stream: str = "till.people", records: int = 4
) -> tuple[dict[str, Any], str]:
    """The rows of the fields by their name, and the sentences."""
    monkeypatch.setattr("cdp_orchestration.queries.mapping.current_manifest", lambda _: MANIFEST)
    parts = list(mapping(Home(home), stream, records))
    rows = {row[0]: row[1:] for part in parts if not isinstance(part, str) for row in part.rows}
    return rows, "\n".join(part for part in parts if isinstance(part, str))


def test_what_landed_is_held_against_what_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def landed(*records: Any) -> None:
        page = [record if isinstance(record, Record) else Record(json.dumps(record)) for record in records]
        Landing(tmp_path / "landing").land("till", "people", [Page(page, {})])

    landed(
        {"old": 1},
        {
            "no": 1,
            "mail": "Jane.Doe@x.example",
            "first": "Jane",
            "address": {"city": "Rome", "zip": "00100"},
            "empty": " ",
        },
    )
    landed({"no": "2", "note": "call jane@x.example or 5", "tel": "+39 06 123 456", "seen": "2026-10-01 10:00", "empty": None},
           {"no": 3, "tags": ["a"], "points": 1234567}, Record(None, error="line 3: no JSON"))  # fmt: skip
    rows, said = answer(tmp_path, monkeypatch)
    assert said.startswith(
        "till.people: the newest 4 of 5 landed records; 1 of them could not be read. Mapped by: stg_till__people."
    )
    assert rows["no"] == ("100 %", "number 2, text 1", "key", "1, 2, 3")
    assert rows["mail"] == ("33 %", "text", "identifier email", "J…@x.example")
    assert rows["first"][2:] == ("trait first_name", "J…")
    assert rows["address.city"][2] == "trait address (json)"
    assert rows["note"][2:] == ("", "call j…@x.example or 5")
    assert (rows["tel"][3], rows["seen"][3], rows["points"][3], rows["tags"][1]) == (
        "…56",
        "2026-10-01 10:00",
        "1234567",
        "list",
    )
    assert rows["empty"][:2] == ("0 %", "")
    assert "old" not in rows, "only the newest are read"
    assert "trait origin (constant): the same in every record." in said
    assert "Not mapped: note, tel, seen, tags, points." in said
    assert "Mapped, never filled in these records: gone, empty." in said
    assert "Of several types: no." in said
    with pytest.raises(NeedsAPerson, match=r"till.peple: there is no such stream. Use one of till.people"):
        answer(tmp_path, monkeypatch, "till.peple")
