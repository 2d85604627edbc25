"""What each enricher of a staging mapping makes of a value, on DuckDB and on PostgreSQL; what is refused, and with which words."""

import csv
import hashlib
from contextlib import closing
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from tests.conftest import connect
from tests.support.dialects import faults
from tests.support.harness import PROJECT
from tests.support.macros import rendered

IDENTITY = {"identifiers": {"email": {"priority": 1, "normalise": "email"}}, "calling_code": "39"}
SEEDS = PROJECT / "dbt_project" / "seeds"


class Refused(Exception):
    pass


def _raise(message: str) -> None:
    raise Refused(message)


CONTEXT: dict[str, Any] = {
    "ref": lambda name: name,
    "target": SimpleNamespace(database="cdp", type="duckdb"),
    "exceptions": SimpleNamespace(raise_compiler_error=_raise),
    "model": {"original_file_path": "dbt_project/models/1_staging/stg_till__receipts.sql"},
    "var": lambda name, default=None: IDENTITY if name == "identity" else "USD",
}


def entry(enricher: str, *arguments: Any, **named: Any) -> Any:
    return rendered("duckdb", enricher, *arguments, context=CONTEXT, **named)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


VISIT = ["DD.MM.YYYY HH24:MI", "DD.MM.YYYY"]
# An entry over the column `said`, and what it makes of values as they come (None: missing).
Case = tuple[Any, dict[str | None, Any]]
TIERS = entry("value_map", "said", {"1": "gold", 2: "silver", "x": None})
CASES: list[Case] = [
    (TIERS, {"1": "gold", "2": "silver", "x": None, "3": "3", " 1": " 1", "": "", None: None}),
    (entry("value_map", "said", {"it's": "O'Neill"}, default="none"), {"it's": "O'Neill", "IT'S": "none", "": "none", None: None}),
    (entry("value_map", "said", [["a", "b"]], default=None), {"a": "b", "b": None, None: None}),
    (entry("constant", "it's"), {"a": "it's", None: "it's"}),
    (entry("country_iso", "said"), {
        "IT": "IT", "it": "IT", "ITA": "IT", "Italy": "IT", " ITALY ": "IT", "Italia": "IT", "UK": "GB", "U.K.": "GB", "u.s.a.": "US",
        "The Netherlands": "NL", "Holland": "NL", "Türkiye": "TR", "TU\u0308RKIYE": "TR", "CÔTE D’IVOIRE": "CI", "ÅLAND": "AX",
        "St. Lucia": "LC", "Korea, Republic of": "KR", "Atlantis": None, "XX": None, "Italy, Rome": None, "": None, " ": None, None: None}),
    (entry("country_iso", "said", code=3), {"it": "ITA", "GBR": "GBR", "Viet Nam": "VNM", "xxx": None}),
    (entry("date_of", "said"), {"2026-10-01": at("2026-10-01"), "2026-10-01T12:00:00+02:00": at("2026-10-01 10:00"), "soon": None, "": None}),
    (entry("date_of", "said", formats=VISIT), {
        "31.12.2026 23:59": at("2026-12-31 23:59"), "1.2.2026 3:04": at("2026-02-01 03:04"), "29.02.2024": at("2024-02-29"),
        "29.02.2026": None, "31.12.2026 24:01": None, "31.12.2026 24:00": at("2027-01-01"), "31.12.2026 23:60": None, "2026-12-31": None,
        "31.12.2026 23:59:59": None, " 31.12.2026\u00a0": at("2026-12-31"), "31/12/2026": None, "01.01.1899": None, "": None, None: None}),
    (entry("date_of", "said", formats=["MM/DD/YYYY", "DD/MM/YYYY"]), {"02/03/2026": at("2026-02-03"), "25/12/2026": at("2026-12-25"), "25/13/2026": None}),
    (entry("date_of", "said", formats="DD MON YYYY HH12:MI AM"), {
        "3 Sep 2026 12:05 am": at("2026-09-03 00:05"), "3 September 2026 12:05 PM": at("2026-09-03 12:05"), "3 SEPT 2026 1:05 p.m.": at("2026-09-03 13:05"),
        "3 Sep 2026 13:05 PM": None, "3 Foo 2026 1:05 PM": None}),
    (entry("date_of", "said", formats="YYYYMMDD HH24MISS.FF"), {"20261001 101112.5": at("2026-10-01 10:11:12.500000"), "2026101 101112.5": None}),
    (entry("date_of", "said", formats="YYYY-MM-DDTHH24:MI:SSTZ"), {"2026-10-01T10:00:00+02:00": at("2026-10-01 08:00"), "2026-10-01T10:00:00Z": at("2026-10-01 10:00")}),
    (entry("date_of", "said", formats="DD.MM.YY"), {"01.02.26": at("2026-02-01")}),
    # What clocks showed in Rome: in summer two hours ahead, in winter one, at night as by day.
    (entry("date_of", "said", formats=["DD.MM.YYYY HH24:MI", "DD.MM.YYYY HH12:MI AM"], timezone="Europe/Rome"), {
        "01.07.2026 12:00": at("2026-07-01 10:00"), "01.12.2026 12:00": at("2026-12-01 11:00"), "29.03.2026 1:30 PM": at("2026-03-29 11:30"),
        "29.03.2026 01:30": at("2026-03-29 00:30")}),
    (entry("epoch", "said"), {"0": at("1970-01-01"), "1790000000": at("2026-09-21 14:13:20"), "1790000000.25": at("2026-09-21 14:13:20.250000"),
                              "-1.5": at("1969-12-31 23:59:58.500000"), "99999999999": None, "1e9": None, "2026-10-01": None, "": None, None: None}),
    (entry("epoch", "said", unit="milliseconds"), {"1790000000123": at("2026-09-21 14:13:20.123000"), "17": at("1970-01-01 00:00:00.017000")}),
    (entry("epoch", "said", unit="microseconds"), {"1790000000123456": at("2026-09-21 14:13:20.123456"), "1.9": at("1970-01-01 00:00:00.000001")}),
    (entry("number", "said"), {"12.5": "12.5", "-3": "-3", "+5": "5", "007": "7", ".5": "0.5", "5.": "5", "-.5": "-0.5", "1e3": "1e3", " 4 ": "4",
                               "0": "0", "00": "0", "1,5": None, "NaN": None, "": None, None: None}),
    (entry("boolean", "said"), {"Yes": "true", "0": "false", "true": "true", "maybe": None, "": None, None: None}),
    (entry("sha256", "said"), {" Jane@X.example ": sha("jane@x.example"), "È": sha("è"), " ": None, "": None, None: None}),
    (entry("sha256", "said", normalise="email"), {"Jane <JANE@x.example>": sha("jane@x.example")}),
    (entry("sha256", "said", normalise="phone"), {"+39 06 123 456": sha("3906123456")}),
    (entry("sha256", "said", normalise=None), {" Jane": sha(" Jane"), "": None}),
    (entry("sha256", entry("value_map", "said", {"a": "b"})), {"a": sha("b")}),
    (entry("first_of", "said", entry("constant", "else")), {"a": "a", " ": "else", None: "else"}),
    (entry("expression", "lower({said}) || '!' || {said}"), {"A": "a!A", None: None}),
]  # fmt: skip


def literal(value: str | None) -> str:
    return "null" if value is None else "'" + value.replace("'", "''") + "'"


def check(execute: Any, engine: str) -> None:
    for made, meant in CASES:
        sql = rendered(engine, "as_sql", made, context=CONTEXT)
        said = ", ".join(f"({place}, cast({literal(value)} as text))" for place, value in enumerate(meant))
        rows = execute(f"select told.place, {sql} from (values {said}) as told (place, said) order by told.place")
        assert [value for _, value in rows] == list(meant.values()), made


@pytest.fixture(scope="module")
def countries() -> list[list[str]]:
    with (SEEDS / "countries.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


CREATE = [
    "create table countries (spelling text, iso_2 text, iso_3 text)",
    "create table exchange_rates (day date, currency text, rate decimal(18, 9))",
    "insert into exchange_rates values ('2026-01-01', 'EUR', 1.1), ('2026-02-01', 'eur ', 1.2), ('2026-02-01', 'EUR', 1.15), "
    "('2026-01-01', 'JPY', 0.0066), ('2026-03-01', 'JPY', 0)",
]
# (amount, currency, day) -> in dollars
AMOUNTS: list[tuple[str, str, str, float | None]] = [
    ("10.00", "EUR", "2026-01-01 00:00", 11.0), ("10.00", "EUR", "2025-12-31 23:59", None), ("10.00", "EUR", "2026-01-31 23:59", 11.0),
    ("10.00", "EUR", "2026-02-01 00:00", 12.0), ("10.00", "EUR", "2030-01-01 00:00", 12.0), ("1000.00", "JPY", "2026-04-01 00:00", 6.6),
    ("0.05", "EUR", "2026-01-05 00:00", 0.06), ("10.00", "CHF", "2026-01-05 00:00", None), ("7.77", "USD", "2020-01-01 00:00", 7.77),
]  # fmt: skip


def check_rates(execute: Any, engine: str) -> None:
    """A rate holds from its day until the next one of its currency; half a cent rounds up."""
    said = ", ".join(f"({place}, cast({amount} as decimal(18, 2)), cast('{code}' as text), cast('{day}' as timestamp))"
                     for place, (amount, code, day, _) in enumerate(AMOUNTS))  # fmt: skip
    told = f"(select * from (values {said}) as told (place, amount, currency, paid_at))"
    for engine_macro in (engine, "default") if engine == "duckdb" else (engine,):
        macro = "with_rates" if engine_macro == engine else "default__with_rates"
        rated = rendered(engine, macro, told, {"rate": ["records.currency", "records.paid_at"]}, context=CONTEXT)
        worth = rendered(engine, "amount_at_rate", "amount", "rate", context=CONTEXT)
        rows = execute(f"select place, {worth} from ({rated}) as rated order by place")
        assert [value for _, value in rows] == [value for *_, value in AMOUNTS]


def test_duckdb_reads_each_value(countries: list[list[str]]) -> None:
    with duckdb.connect() as connection:
        for statement in CREATE:
            connection.execute(statement)
        connection.executemany("insert into countries values (?, ?, ?)", countries[1:])
        check(lambda sql: connection.execute(sql).fetchall(), "duckdb")
        check_rates(lambda sql: connection.execute(sql).fetchall(), "duckdb")


def test_postgres_reads_each_value(postgres: dict[str, str], countries: list[list[str]]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("set jit = off")  # as the platform does
        cursor.execute("create schema landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        for statement in CREATE:
            cursor.execute(statement)
        cursor.executemany("insert into countries values (%s, %s, %s)", countries[1:])

        def execute(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchall()

        check(execute, "postgres")
        check_rates(execute, "postgres")


def test_the_list_of_countries_is_whole_and_without_contradiction(countries: list[list[str]]) -> None:
    header, *rows = countries
    assert header == ["spelling", "iso_2", "iso_3"]
    assert (
        len({two for _, two, _ in rows})
        == len({three for *_, three in rows})
        == len({(two, three) for _, two, three in rows})
        == 249
    )
    spellings = [spelling for spelling, *_ in rows]
    assert len(spellings) == len(set(spellings)), "a spelling means one country"
    assert all(spelling == spelling.lower().strip() and "." not in spelling for spelling in spellings)
    codes = {two.lower(): two for _, two, _ in rows} | {three.lower(): two for _, two, three in rows}
    assert not [row for row in rows if codes.get(row[0], row[1]) != row[1]], "a name that is another country's code"


@pytest.mark.parametrize(
    ("enricher", "arguments", "named", "told"),
    [
        ("value_map", ["tier", [["1", "gold"], ["1", "silver"]]], {}, "'1' is there twice"),
        ("value_map", ["tier", {"1": "gold", 1: "silver"}], {}, "'1' is there twice"),
        ("value_map", ["tier", {}], {}, "name at least one"),
        ("country_iso", ["country"], {"code": 4}, "write 2 or 3"),
        ("epoch", ["at"], {"unit": "minutes"}, "write seconds, milliseconds or microseconds"),
        ("sha256", ["email"], {"normalise": "upper"}, "write lower, email, phone or none"),
        ("date_of", ["at"], {"formats": "%d.%m.%Y"}, "'%' is no part of a format"),
        ("date_of", ["at"], {"formats": "dd.mm.yyyy"}, "'d' is no part of a format"),
        ("date_of", ["at"], {"formats": "DD.MM"}, "it has to have YYYY or YY"),
        ("date_of", ["at"], {"formats": "DD.MM.YYYY HH12:MI"}, "HH12 goes with AM"),
        ("date_of", ["at"], {"formats": "DD.MM.YYYY HH24"}, "an hour without MI"),
        ("date_of", ["at"], {"formats": "DD.MM.YYYY DD"}, "DD is there twice"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_file_and_remedy(
    enricher: str, arguments: list[Any], named: dict[str, Any], told: str
) -> None:
    with pytest.raises(Refused) as refused:
        entry(enricher, *arguments, **named)
    assert "stg_till__receipts.sql" in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.parametrize("engine", ["snowflake", "bigquery", "spark"])
def test_other_engines_take_each_of_them(engine: str) -> None:
    """As far as can be told without the engine."""
    name = "databricks" if engine == "spark" else engine
    landing = {
        "api": SimpleNamespace(Relation=SimpleNamespace(create=lambda **_: "landing")),
        "target": SimpleNamespace(database="cdp", type=engine),
    }
    context = {**CONTEXT, **landing}
    wrong = {}
    for made, _ in CASES:
        given = f"select {rendered(engine, 'as_sql', made, context=context)} as y from told"
        wrong[given] = faults(given, name, frozenset({"COMPOSED", "SHA2", "SHA256", "DATETIME"}))
    rated = rendered(engine, "with_rates", "told", {"rate": ["records.currency", "records.paid_at"]}, context=context)
    worth = (
        f"select {rendered(engine, 'amount_at_rate', 'amount', 'rate', context=context)} as y from ({rated}) as rated"
    )
    wrong[worth] = faults(worth, name)
    assert [(found, given) for given, found in wrong.items() if found] == []
