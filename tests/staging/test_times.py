"""Times of strangers: what is read, what is refused, and that DuckDB and PostgreSQL say the same of any text."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import connect
from tests.support.macros import rendered

TEN = datetime(2026, 10, 1, 10)
DAY = datetime(2026, 10, 1)

# What a text means, without a zone of its own in UTC; None: it is no time.
MEANT: dict[str, datetime | None] = {
    # ISO 8601, extended, with T or a blank
    "2026-10-01T10:00:00Z": TEN,
    "2026-10-01T10:00:00.000Z": TEN,
    "2026-10-01T10:00:00": TEN,
    "2026-10-01 10:00:00": TEN,
    "2026-10-01T10:00": TEN,
    "2026-10-01T10:00Z": TEN,
    "2026-10-01t10:00:00z": TEN,
    "2026-10-01 10:00:00 UTC": TEN,
    "2026-10-01 10:00:00UTC": TEN,
    "2026-10-01": DAY,
    "2026-10-1": DAY,
    "2026-10-1 7:05:00": DAY + timedelta(hours=7, minutes=5),
    "2026-10-01T24:00:00Z": DAY + timedelta(days=1),
    "2026-10-01 24:00": DAY + timedelta(days=1),
    "2026-10-01T24:00:01Z": None,
    "2024-02-29T10:00:00Z": datetime(2024, 2, 29, 10),
    # ISO 8601, basic
    "20261001T100000Z": TEN,
    "20261001T1000Z": TEN,
    "20261001T100000": TEN,
    "20261001T120000.5+0200": TEN + timedelta(milliseconds=500),
    "20261001T1200+0200": TEN,
    "20261001T120000+02": TEN,
    "20261001": DAY,
    # fractions
    "2026-10-01T10:00:00.5Z": TEN + timedelta(milliseconds=500),
    "2026-10-01T10:00:00,5Z": TEN + timedelta(milliseconds=500),
    "2026-10-01T10:00:00.1234567Z": TEN + timedelta(microseconds=123456),
    "2026-10-01T10:00:00.123456789Z": TEN + timedelta(microseconds=123456),
    "2026-10-01T10:00:00.999999999999999999Z": TEN + timedelta(microseconds=999999),
    "2026-10-01 10:00:00.9999999": TEN + timedelta(microseconds=999999),
    # offsets
    "2026-10-01T12:00:00+02:00": TEN,
    "2026-10-01T12:00:00+0200": TEN,
    "2026-10-01T12:00:00+02": TEN,
    "2026-10-01 12:00:00 +0200": TEN,
    "2026-10-01 12:00:00 +02:00": TEN,
    "2026-10-01T12:00+02:00": TEN,
    "2026-10-01T15:30:00+05:30": TEN,
    "2026-10-01T04:30:00-0530": TEN,
    "2026-10-01T10:00:00-00:00": TEN,
    "2026-10-01T10:00:00+00": TEN,
    "2026-10-02T00:00:00+14:00": TEN,
    "2026-10-01T00:15:00+14": DAY - timedelta(hours=13, minutes=45),
    "2026-10-01T10:00:00+14:01": None,
    "2026-10-01T10:00:00+15:00": None,
    "2026-10-01T10:00:00+25:00": None,
    "2026-10-01T10:00:00+99:99": None,
    "2026-10-01T10:00:00+05:60": None,
    "2026-10-01T10:00:00+5": None,
    "2026-10-01T10:00:00+530": None,
    "2026-10-01T10:00:00+05:3": None,
    "2026-10-01T10:00:00+05:30:15": None,
    "2026-10-01T10:00:00+00:53:28": None,
    "2026-10-01T10:00:00 + 02:00": None,
    "2026-10-01T10:00:00Z+02:00": None,
    "2026-10-01T10:00:00+02:00Z": None,
    "2026-10-01+02:00": None,
    "2026-10-01Z": None,
    # blanks and what has no width around it
    " 2026-10-01T10:00:00Z ": TEN,
    "2026-10-01T12:00:00+02:00 ": TEN,
    "\t2026-10-01T10:00:00Z\r\n": TEN,
    "\u00a02026-10-01T10:00:00Z\u3000": TEN,
    "\ufeff2026-10-01T10:00:00Z\u200b": TEN,
    "2026-10-01  10:00:00": None,
    "2026-10-01 T10:00:00": None,
    "2026-10-01T10:00:00  Z": None,
    # halves of days and names of zones
    "2026-10-01 08:30:00 PM +0000": None,
    "2026-10-01T3:33:07 PMZ": None,
    "2026-10-01 10:00:00 PM": None,
    "2026-10-01 10:00:00PM": None,
    "2026-10-01 10:00 am": None,
    "2026-10-01T10:30:33 PM+0100": None,
    "2026-10-01 10:00:00 EST": None,
    "2026-10-01T10:00:00 CEST": None,
    "2026-10-01T10:00:00CEST": None,
    "2026-10-01 10:00:00 America/New_York": None,
    "2026-10-01T10:00:00Europe/Lisbon": None,
    "2026-10-01T10:00:00[Europe/Lisbon]": None,
    "2026-10-01T12:00:00+02:00[Europe/Paris]": None,
    "2026-10-01 10:00:00 GMT": None,
    "2026-10-01 10:00:00 GMT+1": None,
    "2026-10-01 10:00:00 UTC+1": None,
    "2026-10-01T10:00:00 BC": None,
    # not read to the end, or not to be read
    "2026-10-01T10:00:00.": None,
    "2026-10-01T10:00:": None,
    "2026-10-01T10": None,
    "2026-10-01T": None,
    "2026-10-01T10:00:00Zoo": None,
    "2026-10-01T10:00:00;": None,
    "2026-10-01T10:00.5Z": None,
    "2026-10-01T1000Z": None,
    "20261001T10:00:00Z": None,
    "20261001 100000": None,
    "2026-10-01T10:00:60Z": None,
    "2026-10-01T10:60:00Z": None,
    "2026-10-01T25:00:00Z": None,
    "2026-13-01T10:00:00Z": None,
    "2026-00-10": None,
    "2026-02-30": None,
    "2026-02-29T10:00:00Z": None,
    "20260230T100000Z": None,
    "2026-W40-4": None,
    "2026-W40-4T10:00:00Z": None,
    "2026-274": None,
    "2026274": None,
    "2026-10": None,
    "2026": None,
    "10:00:00": None,
    "T10:00:00Z": None,
    "26-10-01": None,
    "26-10-01 10:00:00": None,
    "01-10-2026": None,
    "01.10.2026": None,
    "10/01/2026": None,
    "2026/10/01": None,
    "2026.10.01": None,
    "2026/10/01 10:00:00": None,
    "+2026-10-01": None,
    "-2026-10-01": None,
    "+002026-10-01T10:00:00Z": None,
    "2026-10-01T10:00:00Z/2026-10-02T10:00:00Z": None,
    "Thu, 01 Oct 2026 10:00:00 +0000": None,
    "Thu Oct  1 10:00:00 2026": None,
    "1 October 2026": None,
    "October 1, 2026 10:00 AM": None,
    "Oct 1, 2026": None,
    "/Date(1790848800000)/": None,
    '{"$date":"2026-10-01T10:00:00Z"}': None,
    "2026-10-01T10:00:00\u221202:00": None,
    "now": None, "today": None, "tomorrow": None, "yesterday": None, "epoch": None, "infinity": None, "-infinity": None,
    "allballs": None, "null": None, "true": None, "Invalid Date": None, "NaT": None, "": None, " ": None, "Z": None,
    "0000-00-00 00:00:00": None, "0001-01-01T00:00:00Z": None, "1899-12-31": None, "2200-01-01": None, "9999-12-31": None,
    "20260-01-01": None, "290000-01-01": None, "1900-01-01": datetime(1900, 1, 1),
    "2199-12-31T23:59:59Z": datetime(2199, 12, 31, 23, 59, 59),
    # epoch seconds and milliseconds
    "1790848800": TEN,
    "1790848800.0": TEN,
    "1790848800.5": TEN + timedelta(milliseconds=500),
    "1790848800.1234567": TEN + timedelta(microseconds=123456),
    "1790848800000": TEN,
    "1790848800500.0": TEN + timedelta(milliseconds=500),
    "1790848800000.125": TEN + timedelta(microseconds=125),
    " 1790848800 ": TEN,
    "946684800": datetime(2000, 1, 1),
    "946684800000": datetime(2000, 1, 1),
    "-157766400": datetime(1965, 1, 1),
    "-157766400.5": datetime(1964, 12, 31, 23, 59, 59, 500000),
    "-1577664000000": datetime(1920, 1, 4),
    "9999999999": None,  # the year 2286
    "9999999999999": None,
    "-9999999999": None,
    "7258118399": datetime(2199, 12, 31, 23, 59, 59),
    "7258118400": None,
    "1790848800000000": None,  # microseconds
    "1790848800000000000": None,
    "17908488000": None,
    "202610011000": None,  # somebody's compact date
    "20261001100000": None,
    "0": None,
    "-1": None,
    "2026100": None,
    "+1790848800": None,
    "1.7908488e9": None,
    "1e9": None,
    "1790848800s": None,
    "1790848800.": None,
    "1,790,848,800": None,
    "0x6abc": None,
    "NaN": None,
}  # fmt: skip


@cache
def sql_of(engine: str, zone: str) -> str:
    return str(rendered(engine, "to_utc", "given", zone))


Reader = Callable[[list[str], str], list[Any]]


@pytest.fixture(scope="module")
def by_duckdb() -> Iterator[Reader]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")

        def read(texts: list[str], zone: str) -> list[Any]:
            sql = f"select {sql_of('duckdb', zone)} from (select unnest($v::varchar[]) as given)"
            return [row[0] for row in connection.execute(sql, {"v": texts}).fetchall()]

        yield read


@pytest.fixture(scope="module")
def by_postgres(postgres: dict[str, str]) -> Iterator[Reader]:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))

        def read(texts: list[str], zone: str) -> list[Any]:
            told = "unnest(%(v)s::text[]) with ordinality as told (given, place)"
            sql = f"select {sql_of('postgres', zone).replace('%', '%%')} from {told} order by place"
            cursor.execute(sql, {"v": texts})
            return [row[0] for row in cursor.fetchall()]

        yield read


def test_a_text_is_a_time_to_its_last_character_or_none(by_duckdb: Reader) -> None:
    found = by_duckdb(list(MEANT), "UTC")
    wrong = {text: got for (text, meant), got in zip(MEANT.items(), found, strict=True) if got != meant}
    assert wrong == {}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_both_engines_read_the_same(by_duckdb: Reader, by_postgres: Reader, zone: str) -> None:
    texts = list(MEANT)
    mutated = [t[:cut] + letter + t[cut + 1 :] for t in texts[:48] for cut in (4, 10, 13, 19) for letter in "0T:.Z+ "]
    changes_of_clocks = ["2026-03-29T02:30:00", "2026-10-25T02:30:00", "2026-10-25 02:30", "20261025T0230"]
    texts += mutated + changes_of_clocks
    ours, theirs = by_duckdb(texts, zone), by_postgres(texts, zone)
    assert [row for row in zip(texts, ours, theirs, strict=True) if row[1] != row[2]] == []


NEARLY = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", " ", "\u200b", "+", "-"]),
        st.sampled_from(["2026-10-01", "2026-1-3", "20261001", "2026-02-29", "1899-12-31", "2199-12-31", "26-10-01", "179084880", "1790848800000"]),
        st.sampled_from(["", "T", " ", "t", "  ", "."]),
        st.sampled_from(["", "10:00", "10:00:00", "1000", "100000", "7:05", "24:00", "24:00:00", "23:59:60", "10:0", "10", "0"]),
        st.sampled_from(["", "", ".5", ",5", ".", ".1234567891", ".000000001"]),
        st.sampled_from(["", " ", "  "]),
        st.sampled_from(["", "Z", "z", "UTC", "+02", "+0200", "-02:30", "+14:00", "+14:30", "+5", "-00:00", "AM", "EST", "GMT", "+02:00:00"]),
        st.sampled_from(["", "", "", "\n", "\u00a0", "x"]),
    ),
)  # fmt: skip


def test_what_other_engines_make_of_a_text_is_what_duckdb_reads(by_duckdb: Reader) -> None:
    """The body that spells a time step by step (Snowflake, BigQuery, Spark) gives what the fast one gives."""
    slow = str(rendered("duckdb", "default__to_utc", "given", "Europe/Berlin"))
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        sql = f"select {slow} from (select unnest($v::varchar[]) as given)"
        found = [row[0] for row in connection.execute(sql, {"v": list(MEANT)}).fetchall()]
    assert found == by_duckdb(list(MEANT), "Europe/Berlin")


def test_any_text_is_read_alike(by_duckdb: Reader, by_postgres: Reader) -> None:
    """Batches of texts that are nearly times, and of any letters of times."""

    @settings(
        max_examples=20,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.one_of(NEARLY, st.text("0126-:T. Z+,eUC", max_size=30)), min_size=100, max_size=200))
    def alike(texts: list[str]) -> None:
        for zone in ("UTC", "Europe/Berlin"):
            ours, theirs = by_duckdb(texts, zone), by_postgres(texts, zone)
            assert [row for row in zip(texts, ours, theirs, strict=True) if row[1] != row[2]] == []

    alike()
