"""The sql source: what is new lands once, late commits are caught, an unchanged snapshot lands nothing."""

import json
import sqlite3
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cdp_orchestration.errors import StopAndTell, TryAgain
from cdp_orchestration.landing import Landing
from cdp_orchestration.sources import KINDS


class Shop:
    """A database with a table, a source that reads it, and a landing folder."""

    def __init__(self, root: Path, url: str, **stream: Any) -> None:
        self.root, self.landing = root, Landing(root / "landing")
        self.engine = sa.create_engine(url)
        connector = KINDS["sql"]
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
        return [
            json.loads(row["_payload"], parse_float=Decimal)
            for batch in batches
            for row in pq.read_table(batch.path).to_pylist()
        ]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["id"] for row in rows)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """(url, a table name of its own)."""
    if request.param == "sqlite":
        sqlite3.connect(tmp_path / "shop.db").close()
        return f"sqlite:///{tmp_path}/shop.db", "things"
    server = request.getfixturevalue("postgres")
    url = sa.URL.create(
        "postgresql+psycopg2", database=server["PGDATABASE"], port=int(server["PGPORT"]), username=server["PGUSER"],
        host=server["PGHOST"], password=server["PGPASSWORD"] or None,
    )  # fmt: skip
    return url.render_as_string(hide_password=False), f"things_{uuid.uuid4().hex[:12]}"


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
    with pytest.raises(StopAndTell, match=r"stream 'rows': table 'orders'"):
        Shop(tmp_path, f"sqlite:///{tmp_path}/shop.db", table="orders").pull()
    with pytest.raises(StopAndTell, match="there is no SQLite file"):
        Shop(tmp_path, f"sqlite:///{tmp_path}/other.db", table="orders").pull()
    assert not (tmp_path / "other.db").exists()
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1:9.*does not answer") as told:
        Shop(tmp_path, "postgresql+psycopg2://me:hunter2@127.0.0.1:9/shop", table="orders").pull()
    assert "hunter2" not in str(told.value)
