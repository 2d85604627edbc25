"""What PostgreSQL's functions and loader do, held against DuckDB's own on odd values. Whole builds are compared in
tests/builds/test_days.py; what is said where the server cannot be used is in test_targets.py, what a kill leaves in
test_postgres_crash.py."""

import json
import random
import re
import string
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration import compaction
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery.ledger import Entry, Ledger, Planned
from cdp_orchestration.delivery.places import NOWHERE
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.landing import compaction as of_landing
from cdp_orchestration.warehouse import QueryFailed, RelationMissing, Warehouse
from cdp_orchestration.warehouse.postgres import Postgres
from tests.conftest import connect
from tests.support.harness import PROJECT

FUNCTIONS = PROJECT / "dbt_project" / "macros" / "dialect" / "postgres_functions.sql"

NUMBERS = [
    "12.345", "12.355", "-12.345", "1e3", "1E-1", " 12 ", "", "1_000", "NaN", "inf", "1.", ".5", "+5", "1,5", "--1", "1e",
    "9999999999999999", "10000000000000000", "99999999999999999999", "0.005", "0.004999", "12.5", "-12.5", "abc", "12abc",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0", "-0", "00012", "1 2",
]  # fmt: skip
TEXTS = [
    "",
    "abc",
    "Ä ö ß",
    "日本",
    'a"b\\c/d',
    "\n\t\r\b\f",
    "".join(map(chr, range(1, 32))),
    "\x7f\u2028",
    "😀",
    "=" * 300,
]


@pytest.fixture(scope="module")
def database(postgres: dict[str, str]) -> Any:
    """A connection to a database with the functions in it."""
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        body = re.search(r"postgres_functions\(\) -%}(.*){%- endmacro", FUNCTIONS.read_text(), re.S)
        assert body
        cursor.execute("create schema if not exists landing")
        cursor.execute(body.group(1))
        yield cursor


@pytest.fixture
def home(postgres: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    return Home(tmp_path)


def both(database: Any, ours: str, theirs: str, values: list[str]) -> tuple[list[Any], list[Any]]:
    """The expressions over each value, by DuckDB and by PostgreSQL."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        expected = [connection.execute(f"select {ours}", {"v": value}).fetchone()[0] for value in values]  # type: ignore[index]
    found = []
    for value in values:
        database.execute(f"select {theirs}", {"v": value})
        found.append(database.fetchone()[0])
    return expected, found


def random_texts(letters: str, count: int = 300) -> list[str]:
    chance = random.Random(7)
    return ["".join(chance.choices(letters, k=chance.randint(0, 24))) for _ in range(count)]


@pytest.mark.parametrize(
    ("kind", "engine_type"),
    [("money", "decimal(18, 2)"), ("bigint", "bigint"), ("double", "double"), ("boolean", "boolean")],
)
def test_numbers_mean_the_same(database: Any, kind: str, engine_type: str) -> None:
    values = [*NUMBERS, "true", "T", "yes", "no", "1", "2", "False", *random_texts("01.5-+e ")]
    expected, found = both(database, f"try_cast($v as {engine_type})", f"landing.try_{kind}(%(v)s)", values)
    pairs = zip(values, map(str, expected), map(str, found), strict=True)
    assert sum(value is not None for value in found) > 3
    assert [pair for pair in pairs if pair[1] != pair[2]] == []


def test_hashes_and_quoted_texts_are_the_same(database: Any) -> None:
    values = TEXTS + random_texts(string.printable)
    expected, found = both(database, "cast(md5_number_upper($v) >> 1 as bigint)", "landing.hash64(%(v)s)", values)
    assert found == expected
    expected, found = both(database, "cast(to_json($v::varchar) as varchar)", "landing.json_quote(%(v)s)", values)
    assert found == expected


def test_json_is_told_and_merged_alike(database: Any) -> None:
    texts = [
        '{"a":1}',
        "[1]",
        '"x"',
        "1",
        "true",
        "null",
        "",
        "abc",
        "{",
        "[1,",
        "{a:1}",
        "zzz",
        " [] ",
        "-",
        "nope",
        "tr",
    ]
    kind = """case when not json_valid($v::varchar) then null when json_type($v::varchar) = 'OBJECT' then 'object'
        when json_type($v::varchar) = 'ARRAY' then 'array' else 'scalar' end"""
    expected, found = both(database, kind, "landing.json_kind(%(v)s)", texts)
    assert found == expected
    chance = random.Random(3)

    def some(depth: int = 0) -> Any:
        if depth > 2 or chance.random() < 0.3:
            return chance.choice([None, 1, "x", True, [1, {"a": None}], 'é"\\'])
        return {chance.choice("abcdé"): some(depth + 1) for _ in range(chance.randint(0, 4))}

    for _ in range(200):
        base, patch = (json.dumps(some(), separators=(",", ":"), ensure_ascii=False) for _ in range(2))
        with duckdb.connect() as connection:
            row = connection.execute(
                "select cast(json_merge_patch(?::varchar, ?::varchar) as varchar)", [base, patch]
            ).fetchone()
        database.execute("select landing.json_merge(%s, %s)::text", [base, patch])
        assert row is not None
        assert database.fetchone() == row, (base, patch)


def test_functions_work_in_queries_that_a_large_table_makes_parallel(database: Any) -> None:
    """One that catches errors cannot run in parallel: it must say so, and the planner then keeps the query to one process."""
    database.execute(
        "create table if not exists landing.wide as select '12.5 ' || n as given from generate_series(1, 50000) as n"
    )
    database.execute("analyze landing.wide")
    database.execute("explain select count(*) from landing.wide where given like '%7'")
    assert "Parallel" in str(database.fetchall())
    calls = ["json_kind(given)", "hash64(given)", "json_quote(given)", "try_numeric(given)", "try_money(given)",
             "try_bigint(given)", "try_double(given)", "try_boolean(given)", "try_utc(given, 'UTC')", "epoch('1790848800', '5')",
             "json_merge('{}', to_json(given))"]  # fmt: skip
    for call in calls:
        database.execute(f"select count(landing.{call}) from landing.wide")
    assert {call.split("(")[0] for call in calls} | {"json_patch"} == set(
        re.findall(r"create or replace function landing\.(\w+)", FUNCTIONS.read_text())
    )


def land(home: Home, *payloads: str, error: str | None = None) -> None:
    records = [Record(payload=payload, file="f", error=error) for payload in payloads]
    Landing(home.landing).land("web", "events", [Page(records=records, state={})])


def loaded(database: Any) -> list[tuple[Any, ...]]:
    database.execute("select _payload, _document, _error from landing.web__events order by _batch_seq, _record_no")
    return database.fetchall()


def test_loading_gives_each_engine_the_same_json_and_names_what_cannot_be(database: Any, home: Home) -> None:
    plain = '{"a":1,"b":"é"}'
    spaced = '{"a": 12.50, "b": "\\u00e9\\/", "a": 2}'
    land(home, plain, spaced, '{"a":NaN}', '{"a":"x\\u0000y"}', '{"a":"x\\\\u0000 NaN Infinity"}')
    land(home, 'not JSON, "with" a comma,\nand a \\N', error="no JSON")
    warehouse = Warehouse(home)
    warehouse.check()
    warehouse.load([("web", "events")])
    found = loaded(database)
    assert found[0] == (plain, None, None)
    assert found[1] == (spaced, '{"a":12.5,"b":"é/"}', None)
    assert found[2][1] is None
    assert "NaN is not a JSON value" in found[2][2]
    # PostgreSQL has no character U+0000.
    assert found[3] == ('{"a":"x\\u0000y"}', '{"a":"x\ufffdy"}', None)
    assert found[4] == ('{"a":"x\\\\u0000 NaN Infinity"}', None, None)
    assert found[5] == ('not JSON, "with" a comma,\nand a \\N', None, "no JSON")
    warehouse.load([("web", "events")])
    assert loaded(database) == found  # each file once
    database.execute("select sum(records) from landing._batches")
    assert database.fetchone() == (6,)


def test_a_database_belongs_to_one_home(database: Any, home: Home, tmp_path: Path) -> None:
    land(home, '{"mine":1}')
    database.execute("truncate landing._batches") if _has_batches(database) else None
    Warehouse(home).load([("web", "events")])
    before = loaded(database)
    other = Home(tmp_path / "other")
    land(other, '{"theirs":1}')
    with pytest.raises(NeedsAPerson, match="belongs to another CDP_HOME"):
        Warehouse(other).load([("web", "events")])
    assert loaded(database) == before


def test_what_was_loaded_before_it_was_compacted_is_not_loaded_again(database: Any, home: Home) -> None:
    """Nor what an earlier version loaded, which knew the ledger's rows by the file they were in."""

    def attempts(*numbers: int) -> None:
        rows = [Planned(n, "add", f"k{n}", None, "{}", "{}", "", None, f"i{n}", 1) for n in numbers]
        Ledger(home.deliveries).append("to_crm", "r", [Entry(row, "accepted", "", "") for row in rows], NOWHERE)

    database.execute("drop table if exists landing._batches, landing._ledger, landing.web__events")
    for number in range(6):
        land(home, *(f'{{"n":[{number},{n}]}}' for n in range(3)))
        attempts(2 * number + 1, 2 * number + 2)
        if number == 2:
            Warehouse(home).load([("web", "events")])
            database.execute("drop index landing._ledger_key")
            database.execute("create table landing._ledger_files (file text primary key)")
    landing, ledger = Landing(home.landing), Ledger(home.deliveries)
    assert of_landing.compact(landing, "web", "events", most=4) == (6, 5)
    assert of_ledger.compact(ledger, "to_crm", most=4) == (6, 3)
    compaction.sweep(home)
    for _ in range(2):
        Warehouse(home).load([("web", "events")])
    database.execute("select _batch_seq, _record_no, _payload from landing.web__events order by 1, 2")
    assert database.fetchall() == [(b + 1, n, f'{{"n":[{b},{n}]}}') for b in range(6) for n in range(3)]
    database.execute("select ledger_no, row_key from landing._ledger order by 1")
    assert database.fetchall() == [(n, f"k{n}") for n in range(1, 13)]
    database.execute("select to_regclass('landing._ledger_files')")
    assert database.fetchone() == (None,)


def _has_batches(database: Any) -> bool:
    database.execute("select to_regclass('landing._batches') is not null")
    return bool(database.fetchone()[0])


def test_errors_of_queries_are_ours(database: Any, home: Home) -> None:
    database.execute("create schema if not exists staging")
    database.execute("create table if not exists staging.builds (n numeric(18, 2), x uuid)")
    warehouse = Warehouse(home)
    with pytest.raises(RelationMissing, match="no_such"):
        warehouse.rows("select * from staging.no_such")
    with pytest.raises(QueryFailed, match="division by zero"):
        warehouse.rows("select 1 / 0")
    with pytest.raises(QueryFailed, match="read-only"):
        warehouse.rows("delete from staging.builds")
    table = warehouse.rows("select ? as a, '100%' as b, cast(1.5 as double precision) as c, n, x from (select 1) as one "
                           "left join staging.builds as none on 1 = 0", ["x"])  # fmt: skip
    assert [str(field.type) for field in table.schema] == ["string", "string", "double", "decimal128(38, 9)", "binary"]
    assert table.to_pylist()[0] == {"a": "x", "b": "100%", "c": 1.5, "n": None, "x": None}


def test_a_reader_waits_for_the_writer(home: Home, database: Any, caplog: pytest.LogCaptureFixture) -> None:
    database.execute("create schema if not exists staging")
    database.execute("create table if not exists staging.builds (n numeric(18, 2), x uuid)")
    with Warehouse(home).writing():
        reader = Postgres(home)
        with reader._connected() as connection, connection.cursor() as cursor:
            cursor.execute("set lock_timeout = '200ms'")
            with pytest.raises(Exception, match="lock timeout"), reader._locked(connection, "_shared", "read"):
                pass
    assert caplog.messages == ["Another process is using the warehouse; waiting to read."]
    with Warehouse(home).reading() as reading:
        assert reading.execute("select 1").fetchone() == (1,)
