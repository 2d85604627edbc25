"""Amounts of strangers: which texts are money, in which currency, the same on DuckDB and PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import connect
from tests.support.macros import rendered

NONE = (None, None)

# (text, the source's own word for the currency) -> (amount, ISO code); an amount without a code counts for nothing.
MEANT: dict[tuple[str | None, str | None], tuple[str | None, str | None]] = {
    ("1234.5", None): ("1234.50", "USD"), ("1234.50", ""): ("1234.50", "USD"), ("1234", " "): ("1234.00", "USD"),
    ("1,234.50", None): ("1234.50", "USD"), ("1,234", None): ("1234.00", "USD"), ("12,345,678.9", None): ("12345678.90", "USD"),
    ("$1,234.50", None): ("1234.50", "USD"), ("$ 1,234.50", None): ("1234.50", "USD"), ("1234.50$", None): ("1234.50", "USD"),
    ("US$ 5", None): ("5.00", "USD"), ("$5 USD", None): ("5.00", "USD"), ("1234.50 USD", None): ("1234.50", "USD"),
    ("USD 1,234.50", None): ("1234.50", "USD"), ("usd1234.50", None): ("1234.50", "USD"), ("$.50", None): ("0.50", "USD"),
    ("USD\u00a01,234.50 ", "usd"): ("1234.50", "USD"), ("\uff04\uff15", None): ("5.00", "USD"), ("+5", None): ("5.00", "USD"),
    (" 12 ", "USD"): ("12.00", "USD"), ("1e2", None): ("100.00", "USD"), ("1E-1", None): ("0.10", "USD"), ("0", None): ("0.00", "USD"),
    ("1.005", None): ("1.01", "USD"), ("5.", None): ("5.00", "USD"), ("0.004999", None): ("0.00", "USD"), ("5", "$"): ("5.00", "USD"),
    ("9999999999999999", None): ("9999999999999999.00", "USD"), ("0012", None): ("12.00", "USD"),
    # another currency
    ("€10", None): ("10.00", "EUR"), ("10 €", None): ("10.00", "EUR"), ("€10 EUR", None): ("10.00", "EUR"), ("10", "EUR"): ("10.00", "EUR"),
    ("10", " eur "): ("10.00", "EUR"), ("£10", "GBP"): ("10.00", "GBP"), ("9000", "JPY"): ("9000.00", "JPY"), ("¥9,000", None): ("9000.00", "JPY"),
    ("¥9000", "CNY"): ("9000.00", "CNY"), ("$5", "CAD"): ("5.00", "CAD"), ("CA$5", None): ("5.00", "CAD"), ("R$ 5", "BRL"): ("5.00", "BRL"),
    ("CHF 5", None): ("5.00", "CHF"), ("12abc", None): ("12.00", "ABC"), ("10", "€"): ("10.00", "EUR"),
    # the text and the source contradict each other, or what is said is no currency
    ("€10", "USD"): ("10.00", None), ("$10", "EUR"): ("10.00", None), ("10 USD", "CAD"): ("10.00", None), ("€10 USD", None): ("10.00", None),
    ("10", "US Dollar"): ("10.00", None), ("10", "840"): ("10.00", None), ("10", "{}"): ("10.00", None), ("10", "n/a"): ("10.00", None),
    # below nothing
    ("-5", None): ("-5.00", "USD"), ("-$5", None): ("-5.00", "USD"), ("$-5", None): ("-5.00", "USD"),
    # no money
    **{(text, None): (None, None) for text in [
        "1234,50", "1.234,50", "12,34", "1,23", "1,2345", "1,23,456.00", "1234,567", ",5", "1,", "1 234.50", "1'234.50", "1_000", "--1", "1e", "1e400",
        "1e99", "99999999999999999", "10000000000000000", "99999999999999999999999999999999999999999999", "free", "NaN", "nan", "inf", "Infinity",
        "-", ".", "$", "USD", "", " ", "(5.00)", "5 dollars", "5 USD EUR", "USD USD 5", "5%", "5-10", "1.2.3", "12abcd", "0x10", "true", "null",
        '{"amount":1234.5,"currency":"USD"}', "[5]", "\u0665",
    ]},
}  # fmt: skip


@cache
def sql_of(engine: str) -> str:
    amount = rendered(engine, "money_amount", "given")
    return f"{amount} as amount, case when {amount} is not null then {rendered(engine, 'money_currency', 'given', 'word')} end as code"


Row = tuple[str | None, str | None]


def by_duckdb(rows: list[Row]) -> list[Any]:
    with duckdb.connect() as connection:
        told = "(select unnest($a::varchar[]) as given, unnest($b::varchar[]) as word)"
        parameters = {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}
        return connection.execute(f"select {sql_of('duckdb')} from {told}", parameters).fetchall()


@pytest.fixture(scope="module")
def cursor(postgres: dict[str, str]) -> Iterator[Any]:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        yield cursor


def by_postgres(cursor: Any, rows: list[Row]) -> list[Any]:
    told = "unnest(%(a)s::text[], %(b)s::text[]) with ordinality as told (given, word, place)"
    parameters = {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}
    cursor.execute(f"select {sql_of('postgres').replace('%', '%%')} from {told} order by place", parameters)
    return cursor.fetchall()


def test_what_is_money_and_in_which_currency() -> None:
    found = by_duckdb(list(MEANT))
    expected = {row: (amount and Decimal(amount), code) for row, (amount, code) in MEANT.items()}
    wrong = {row: got for row, got in zip(MEANT, found, strict=True) if got != expected[row]}
    assert wrong == {}


def test_both_engines_read_the_same_money(cursor: Any) -> None:
    assert by_postgres(cursor, list(MEANT)) == by_duckdb(list(MEANT))

    mark = st.sampled_from(["", "", "$", "US$", "USD", "€", "eur", "¥", "C$", "(", "abc", "XX$"])
    number = st.one_of(
        st.from_regex(r"[0-9]{1,4}([,.][0-9]{1,4}){0,3}", fullmatch=True), st.text("0159.,-+eE ", max_size=12)
    )
    nearly = st.builds(
        "".join, st.tuples(mark, st.sampled_from(["", " ", "-", "\u00a0"]), number, st.sampled_from(["", " "]), mark)
    )
    word = st.sampled_from([None, "", "USD", "usd ", "EUR", "$", "CAD", "dollars", "\u00a0"])

    @settings(max_examples=15, phases=[Phase.generate], deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.lists(st.tuples(nearly, word), min_size=100, max_size=200))
    def alike(rows: list[Row]) -> None:
        ours, theirs = by_duckdb(rows), by_postgres(cursor, rows)
        assert [row for row in zip(rows, ours, theirs, strict=True) if row[1] != row[2]] == []

    alike()
