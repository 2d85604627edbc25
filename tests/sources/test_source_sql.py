"""The sql source: what is new lands once, late commits are caught, an unchanged snapshot lands nothing."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cdp_orchestration.errors import NeedsAPerson, TryAgain
from cdp_orchestration.kinds import SOURCES
from cdp_orchestration.landing import Landing


class Shop:
    """A database with a table, a source that reads it, and a landing folder."""

    def __init__(self, root: Path, url: str, **stream: Any) -> None:
        self.root, self.landing = root, Landing(root / "landing")
        self.errors: list[str] = []  # of the last pull
        self.engine = sa.create_engine(url)
        connector = SOURCES["sql"]
        config = {"kind": "sql", "url": url, "streams": {"rows": {"key": ["id"], **stream}}}
        self.source = connector(connector.Config.model_validate(config), root)

    def does(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def pull(self) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        pages = self.source.pull("rows", self.landing.state("shop", "rows"), self.landing.files("shop", "rows"))
        batches = self.landing.land("shop", "rows", pages)
        rows = [row for batch in batches for row in pq.read_table(batch.path).to_pylist()]
        self.errors = [row["_error"] for row in rows if row["_error"]]
        return [json.loads(row["_payload"], parse_float=Decimal) for row in rows]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["id"] for row in rows)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """(url, a table name of its own)."""
    if request.param == "sqlite":
        sqlite3.connect(tmp_path / "shop.db").close()
        return f"sqlite:///{tmp_path}/shop.db", "things"
    return _postgres_url(request.getfixturevalue("postgres")), f"things_{uuid.uuid4().hex[:12]}"


def _postgres_url(server: dict[str, str]) -> str:
    url = sa.URL.create(
        "postgresql+psycopg2", database=server["PGDATABASE"], port=int(server["PGPORT"]), username=server["PGUSER"],
        host=server["PGHOST"], password=server["PGPASSWORD"] or None,
    )  # fmt: skip
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    """The URL of an empty MariaDB database of its own. CI starts none: where none answers, its tests are skipped."""
    pytest.importorskip("pymysql")
    server = "mysql+pymysql://root@127.0.0.1:3306/"
    engine, name = sa.create_engine(server, poolclass=sa.pool.NullPool), f"cdp_test_{uuid.uuid4().hex[:12]}"
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"create database {name} character set utf8mb4")
    except sa.exc.OperationalError as error:
        pytest.skip(f"no MariaDB answers at 127.0.0.1:3306 to root without a password: {error.orig}")
    yield f"{server}{name}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"drop database {name}")


def test_new_and_changed_rows_land_once(database: tuple[str, str], tmp_path: Path) -> None:
    url, table = database
    shop = Shop(tmp_path, url, table=table, cursor="seen_at")
    stamp = "text" if url.startswith("sqlite") else "timestamp"
    shop.does(f"create table {table} (id int, amount numeric(12, 2), seen_at {stamp})")
    assert shop.pull() == []
    shop.does(f"insert into {table} values (1, 10.10, '2026-01-01 10:00:00'), (2, 20.20, '2026-01-01 11:00:00')")
    assert ids(shop.pull()) == [1, 2]
    assert shop.pull() == []
    shop.does(
        f"insert into {table} values (3, 1, '2026-01-01 11:00:00'), (4, 1, null)",
        f"update {table} set seen_at = '2026-01-01 12:00:00' where id = 1",
    )
    assert ids(shop.pull()) == [1, 3, 4]
    assert shop.pull() == []


def test_a_late_commit_inside_the_lag_is_caught_once(database: tuple[str, str], tmp_path: Path) -> None:
    url, table = database
    shop = Shop(tmp_path, url, table=table, cursor="seen_at", lag_seconds=3600)
    stamp = "text" if url.startswith("sqlite") else "timestamp"
    shop.does(
        f"create table {table} (id int, seen_at {stamp})", f"insert into {table} values (1, '2026-01-01 12:00:00')"
    )
    assert ids(shop.pull()) == [1]
    shop.does(f"insert into {table} values (2, '2026-01-01 11:30:00'), (3, '2026-01-01 10:30:00')")
    assert ids(shop.pull()) == [2]
    assert shop.pull() == []


def test_values_keep_their_types(database: tuple[str, str], tmp_path: Path) -> None:
    url, table = database
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no decimals or timestamps of its own")
    shop = Shop(tmp_path, url, table=table)
    shop.does(
        f"create table {table} (id int, amount numeric(30, 4), naive timestamp, zoned timestamptz, day date, yes boolean)",
        f"insert into {table} values (1, 12345678901234567890.1200, '2026-01-02 03:04:05.678', '2026-01-02 03:04:05+02', '2026-01-02', true)",
    )
    (row,) = shop.pull()
    assert row == {
        "id": 1, "amount": Decimal("12345678901234567890.1200"), "naive": "2026-01-02T03:04:05.678000",
        "zoned": "2026-01-02T01:04:05.000000Z", "day": "2026-01-02", "yes": True,
    }  # fmt: skip


def test_an_unchanged_snapshot_lands_nothing_and_a_changed_one_whole(database: tuple[str, str], tmp_path: Path) -> None:
    url, table = database
    shop = Shop(tmp_path, url, table=table)
    shop.does(f"create table {table} (id int, name text)", f"insert into {table} values (1, 'a'), (2, 'b')")
    assert ids(shop.pull()) == [1, 2]
    assert shop.pull() == []
    shop.does(f"update {table} set name = 'c' where id = 2")
    assert ids(shop.pull()) == [1, 2]


def test_a_query_serves_as_well_as_a_table(database: tuple[str, str], tmp_path: Path) -> None:
    url, table = database
    shop = Shop(tmp_path, url, query=f"select id, 'a:b' as colon from {table} where id > 1", cursor="id")
    shop.does(f"create table {table} (id int)", f"insert into {table} values (1), (2)")
    assert shop.pull() == [{"id": 2, "colon": "a:b"}]
    assert shop.pull() == []
    shop.does(f"insert into {table} values (3)")
    assert ids(shop.pull()) == [3]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()
    with pytest.raises(NeedsAPerson, match=r"stream 'rows': table 'orders'"):
        Shop(tmp_path, f"sqlite:///{tmp_path}/shop.db", table="orders").pull()
    with pytest.raises(NeedsAPerson, match="there is no SQLite file"):
        Shop(tmp_path, f"sqlite:///{tmp_path}/other.db", table="orders").pull()
    assert not (tmp_path / "other.db").exists()
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1:9.*does not answer") as told:
        Shop(tmp_path, "postgresql+psycopg2://me:hunter2@127.0.0.1:9/shop", table="orders").pull()
    assert "hunter2" not in str(told.value)


def table_name() -> str:
    return f"things_{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize(
    ("kind", "good", "poison", "later"),
    [
        ("timestamp", ["2026-10-01 09:00"], ["2062-10-01", "infinity", "-infinity", "0044-03-15 BC", "20260-01-01", "0001-01-01",
                                             "1970-01-01"], "2026-10-02"),
        ("timestamptz", ["2026-10-01 09:00+02"], ["infinity", "-infinity", "0044-03-15 BC", "0001-01-01 00:00+00"], "2026-10-02"),
        ("date", ["2026-10-01"], ["infinity", "20260-01-01", "0044-03-15 BC"], "2026-10-02"),
        ("bigint", ["1", "2"], ["9223372036854775807", "-9223372036854775808"], "3"),
        ("smallint", ["1", "2"], ["32767", "-32768"], "3"),
        ("double precision", ["1", "2.5"], ["infinity", "-infinity", "nan", "1.7976931348623157e308"], "3"),
        ("numeric(6, 2)", ["1", "2.5"], ["nan", "9999.99", "-9999.99"], "3"),
        ("text", ["2026-10-01T09:00:00Z"], ["pending", "", " ", "2062-01-01", "0000-00-00", "01/02/2026", "2026-02-30"], "2026-10-02"),
        ("varchar(40)", ["01H8A"], ["", " "], "01H8B"),
    ],
)  # fmt: skip
def test_no_value_ends_a_table_of_postgres(
    postgres: dict[str, str], tmp_path: Path, kind: str, good: list[str], poison: list[str], later: str
) -> None:
    table = table_name()
    shop = Shop(tmp_path, _postgres_url(postgres), table=table, cursor="at", lag_seconds=0.5 if kind == "date" else 0)

    def insert(first: int, values: list[str]) -> list[int]:
        rows = ", ".join(f"({first + place}, '{value}')" for place, value in enumerate(values))
        shop.does(f"insert into {table} values {rows.replace(':', chr(92) + ':')}")
        return list(range(first, first + len(values)))

    shop.does(f"create table {table} (id int, at {kind}, v int default 0)")
    first = insert(1, good) + insert(11, poison)
    assert ids(shop.pull()) == first
    assert shop.pull() == []
    assert ids_of_insert(shop, insert(21, [later])) == [21]
    # Also where they come when the position is beyond them.
    assert ids_of_insert(shop, insert(31, poison)) == list(range(31, 31 + len(poison)))
    shop.does(f"update {table} set v = 1 where id in (11, 31)")
    assert ids(shop.pull()) == [11, 31]
    assert shop.pull() == []


def ids_of_insert(shop: Shop, inserted: list[int]) -> list[int]:
    assert inserted
    return ids(shop.pull())


def test_a_value_that_python_cannot_hold_costs_its_row_alone(postgres: dict[str, str], tmp_path: Path) -> None:
    table = table_name()
    shop = Shop(tmp_path, _postgres_url(postgres), table=table, cursor="at")
    shop.does(
        f"create table {table} (id int, born timestamp, day date, span interval, days date[], clock time, doc json, at timestamp)",
        f"insert into {table} (id, at) select n, '2026-10-01' from generate_series(1, 9) as n",
        f"update {table} set born = '0026-10-01 12:00 BC' where id = 2".replace(":", "\\:"),
        f"update {table} set day = '20260-10-01' where id = 3",
        f"update {table} set span = '170000000 years' where id = 4",
        f"update {table} set days = array['2026-10-01', '0026-10-01 BC']::date[] where id = 5".replace("::", "\\:\\:"),
        f"update {table} set clock = '24:00' where id = 6".replace(":", "\\:"),
        f"update {table} set doc = ('[' || repeat('[', 5000) || repeat(']', 5000) || ']')\\:\\:json where id = 7",
        f"update {table} set born = 'infinity', day = '-infinity' where id = 8",
    )
    rows = {row["id"]: row for row in shop.pull()}
    assert sorted(rows) == list(range(1, 10))
    assert (rows[8]["born"], rows[8]["day"]) == ("infinity", "-infinity")
    assert rows[2]["born"] == "0026-10-01 12:00:00 BC"
    told = {error.split(":")[0]: error for error in shop.errors}
    assert (
        {"row id = 2", "row id = 3", "row id = 4", "row id = 5"} <= set(told) <= {f"row id = {n}" for n in range(2, 8)}
    )
    assert (
        "column 'born' holds 0026-10-01 12:00:00 BC, which cannot be held: it lies outside the years"
        in told["row id = 2"]
    )
    assert "column 'day' holds 20260-10-01" in told["row id = 3"]
    assert "column 'days'" in told["row id = 5"]
    shop.does(f"insert into {table} (id, at) values (10, '2026-10-02')")
    assert ids(shop.pull()) == [10]
    assert shop.pull() == []


def test_a_text_that_is_no_unicode_costs_its_row_alone(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()
    shop = Shop(tmp_path, f"sqlite:///{tmp_path}/shop.db", table="things")
    shop.does("create table things (id int, name text, mail blob, mixed blob)",
              "insert into things values (1, cast(x'ff41' as text), x'6c6f75', x'00ff'), (2, 'fine', cast('ana@x' as blob), null)")  # fmt: skip
    assert [(row["mail"], row["mixed"]) for row in shop.pull()] == [("lou", "AP8="), ("ana@x", None)]
    assert len(shop.errors) == 1
    assert "row id = 1: column 'name'" in shop.errors[0]


def test_a_cursor_type_that_cannot_serve_is_named_with_the_remedy(postgres: dict[str, str], tmp_path: Path) -> None:
    table, url = table_name(), _postgres_url(postgres)
    shop = Shop(tmp_path, url, table=table, cursor="id", cursor_type="text")
    shop.does(
        f"create table {table} (id uuid, j jsonb, b boolean, y bytea, m money, t time, a int[], n int)",
        f"insert into {table} (id, n) values ('0199a000-0000-7000-8000-000000000001', 1)",
    )
    for column, named in {
        "j": "jsonb",
        "b": "boolean",
        "y": "bytea",
        "m": "money",
        "t": "time",
        "a": "integer",
    }.items():
        with pytest.raises(
            NeedsAPerson, match=f"stream 'rows': column '{column}' is of type {named}.* Name another column"
        ):
            Shop(tmp_path / column, url, table=table, cursor=column).pull()
    with pytest.raises(NeedsAPerson, match=r"of type uuid.*`cursor_type: text`"):
        Shop(tmp_path / "uuid", url, table=table, cursor="id").pull()
    with pytest.raises(NeedsAPerson, match=r"`cursor_type` says text, but column 'n' holds a number"):
        Shop(tmp_path / "text", url, table=table, cursor="n", cursor_type="text").pull()
    # The remedy works.
    assert len(shop.pull()) == 1
    shop.does(f"insert into {table} (id) values ('0199a000-0000-7000-8000-000000000002')")
    assert len(shop.pull()) == 1
    assert shop.pull() == []


QUERIES = [
    "select id, seen_at from {table}  -- only the paid ones",
    "select id, seen_at from {table}; -- done",
    "select id, seen_at from {table} /* all; of them */ ; ;",
    "-- first\nselect id, seen_at /* :since -- */ from {table} -- a 'quote\n",
    "select id, seen_at, ':since' as a, 'it''s :x; -- no comment' as b from {table}",
    "select id, seen_at, 1 as \"x:since;\", '/*' as c from {table} where '100%' like '%0\\%' or 1 = 1",
    "with t as (select * from {table}) select id, seen_at from t where id < 1000000 -- :since",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_may_hold_comments_colons_and_semicolons(database: tuple[str, str], tmp_path: Path, query: str) -> None:
    url, table = database
    table = f"{table}_{QUERIES.index(query)}"
    for mode in ("incremental", "snapshot"):
        shop = Shop(tmp_path / mode, url, query=query.format(table=table), cursor="seen_at", mode=mode)
        shop.does(f"drop table if exists {table}", f"create table {table} (id int, seen_at timestamp)",
                  f"insert into {table} values (1, '2026-01-01')")  # fmt: skip
        assert ids(shop.pull()) == [1]
        shop.does(f"insert into {table} values (2, '2026-01-02')")
        assert ids(shop.pull()) == ([2] if mode == "incremental" else [1, 2])
        assert shop.pull() == []


def test_since_in_a_query_is_the_reading_position(database: tuple[str, str], tmp_path: Path) -> None:
    url, table = database
    query = f"select id, seen_at, ':since' as a from {table} where seen_at >= :since"
    shop = Shop(tmp_path, url, query=query, cursor="seen_at")
    shop.does(f"create table {table} (id int, seen_at timestamp)", f"insert into {table} values (1, '2026-01-01')")
    assert ids(shop.pull()) == [1]
    shop.does(f"insert into {table} values (2, '2026-01-02'), (3, '2025-01-01')")
    assert ids(shop.pull()) == [2]
    assert shop.pull() == []
    with pytest.raises(NeedsAPerson, match="a snapshot has none"):
        Shop(tmp_path / "snapshot", url, query=query).pull()


def test_a_query_is_one_statement(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()
    for query, told in {"select 1 as id; select 2": "more than one statement", " -- nothing": "no statement"}.items():
        with pytest.raises(NeedsAPerson, match=rf"stream 'rows': `query` holds {told}"):
            Shop(tmp_path, f"sqlite:///{tmp_path}/shop.db", query=query).pull()


@pytest.mark.parametrize("mode", ["incremental", "snapshot"])
def test_two_columns_of_one_name_are_refused_by_name(database: tuple[str, str], tmp_path: Path, mode: str) -> None:
    url, table = database
    query = f"select a.*, b.* from {table} as a join {table} as b on a.id = b.id"
    shop = Shop(tmp_path, url, query=query, cursor="seen_at" if mode == "incremental" else None)
    shop.does(f"create table {table} (id int, seen_at timestamp)", f"insert into {table} values (1, '2026-01-01')")
    with pytest.raises(NeedsAPerson, match=r"two columns of one name \(id, seen_at\).*select a\.id as order_id"):
        shop.pull()
    if not url.startswith("sqlite"):  # these are two names there
        assert Shop(tmp_path / "case", url, query=f'select id, 2 as "ID" from {table}').pull() == [{"id": 1, "ID": 2}]


def test_zero_dates_of_mariadb_are_no_position_and_cost_nothing(mariadb: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, mariadb, table="zeros", cursor="at", lag_seconds=3600)
    shop.does(
        "create table zeros (id int, born date, raw varbinary(20), at datetime not null)",
        "insert into zeros values (1, '0000-00-00', 'ana@x', '0000-00-00'), (2, '2026-10-00', null, '2026-10-01 09\\:00')",
    )
    rows = {row["id"]: row for row in shop.pull()}
    assert (rows[1]["born"], rows[1]["at"], rows[1]["raw"]) == ("0000-00-00", "0000-00-00 00:00:00", "ana@x")
    assert (rows[2]["born"], rows[2]["at"]) == ("2026-10-00", "2026-10-01T09:00:00.000000")
    assert (shop.errors, shop.pull()) == ([], [])
    shop.does(
        "insert into zeros (id, at) values (3, '2026-10-02'), (4, '0000-00-00'), (5, '9999-12-31'), (6, '1000-01-01')"
    )
    assert ids(shop.pull()) == [3, 4, 5, 6]
    assert shop.pull() == []


@pytest.mark.parametrize(
    ("kind", "good", "poison", "later"),
    [
        ("bigint unsigned", ["1", "2"], ["18446744073709551615"], "3"),
        ("int", ["1", "2"], ["2147483647", "-2147483648"], "3"),
        ("double", ["1", "2.5"], ["1.7976931348623157e308", "-1.7976931348623157e308"], "3"),
        ("decimal(6, 2)", ["1", "2.5"], ["9999.99", "-9999.99"], "3"),
        ("timestamp", ["2026-10-01"], ["0000-00-00", "1970-01-01 00:00:01", "2037-01-01"], "2026-10-02"),
        ("varchar(40)", ["2026-10-01T09:00:00Z"], ["pending", "", "0000-00-00", "2026-02-30"], "2026-10-02"),
    ],
)
def test_no_value_ends_a_table_of_mariadb(
    mariadb: str, tmp_path: Path, kind: str, good: list[str], poison: list[str], later: str
) -> None:
    table = table_name()
    shop = Shop(tmp_path, mariadb, table=table, cursor="at")
    shop.does(f"create table {table} (id int, at {kind} not null)", "set time_zone = '+00\\:00'")
    for first, values in {1: good, 11: poison, 21: [later], 31: poison}.items():
        rows = ", ".join(f"({first + place}, '{value}')" for place, value in enumerate(values)).replace(":", "\\:")
        shop.does(f"insert into {table} values {rows}")
        if first > 1:
            assert ids(shop.pull())[-len(values) :] == list(range(first, first + len(values)))
            assert shop.pull() == []


def test_queries_and_errors_of_mariadb(mariadb: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, mariadb, table="plain", cursor="at")
    shop.does("create table plain (id int, at datetime)", "insert into plain values (1, '2026-10-01')")
    for place, query in enumerate(["select id, at from plain -- paid", "select id, at from plain; -- done", "select id, at from plain # ; x",
                                   "select id, at, 'it\\'s :since -- %' as t from plain; /* x */"]):  # fmt: skip
        one = Shop(tmp_path / str(place), mariadb, query=query, cursor="at")
        assert (ids(one.pull()), one.pull()) == ([1], [])
    for columns, told in {"a.*, b.*": "one name", "nothing": "cannot be read"}.items():
        with pytest.raises(NeedsAPerson, match=told):
            Shop(
                tmp_path / told, mariadb, query=f"select {columns} from plain as a join plain as b on a.id = b.id"
            ).pull()
    with pytest.raises(NeedsAPerson, match="of type time"):
        Shop(tmp_path / "time", mariadb, query="select id, cast(at as time) as t from plain", cursor="t").pull()
