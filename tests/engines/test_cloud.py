"""Snowflake, BigQuery and Databricks without an account: what is said when a variable is missing, that dlt would go where the
variables say, and the loader itself against a DuckDB file, which dlt treats as it treats them."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow.parquet as pq
import pytest

from cdp_orchestration import compaction
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery import ledger
from cdp_orchestration.delivery.ledger import Entry, Planned
from cdp_orchestration.delivery.places import NOWHERE
from cdp_orchestration.errors import NeedsAPerson, TryAgain
from cdp_orchestration.home import Home
from cdp_orchestration.landing import SCHEMA, Batch, Landing, Page, Record
from cdp_orchestration.landing import compaction as of_landing
from cdp_orchestration.project.fingerprint import fingerprint_of_last_build
from cdp_orchestration.warehouse import NothingBuilt, QueryFailed, RelationMissing, Warehouse, cloud, cloud_load
from cdp_orchestration.warehouse.cloud import VENDORS, Cloud, CloudReading
from tests.support.statements import ENVIRONMENT

STREAMS = [("web", "events"), ("shop", "orders")]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for vendor in VENDORS.values():
        for name in (*vendor.needed, *vendor.either, *vendor.files):
            monkeypatch.delenv(name, raising=False)
    for name in ("RUNTIME__DLTHUB_TELEMETRY", "RUNTIME__LOG_LEVEL", "RESTORE_FROM_DESTINATION", "DLT_DATA_DIR"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # the loader sets them: put back afterwards
    return Home(tmp_path / "home")


def given(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VENDORS[engine].needed, *VENDORS[engine].either[:1]):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    monkeypatch.setenv("CDP_TARGET", engine)


@pytest.mark.parametrize(
    ("engine", "variable"),
    [(name, variable) for name, vendor in VENDORS.items() for variable in (*vendor.needed, *vendor.either[:1])],
)
def test_a_missing_variable_is_named_before_anything_is_written(
    engine: str, variable: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(engine, monkeypatch)
    monkeypatch.delenv(variable)
    for act in (Warehouse(home).check, lambda: Cloud(home, engine).load(STREAMS)):
        with pytest.raises(NeedsAPerson, match=f"CDP_TARGET={engine} needs .*{variable}.*set it in the environment"):
            act()
    assert not (home.root / "loading").exists()


def test_a_key_file_that_is_not_there_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    given("bigquery", monkeypatch)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(
        NeedsAPerson, match=r"GOOGLE_APPLICATION_CREDENTIALS=/nowhere/key[.]json: there is no such file"
    ):
        Cloud(home, "bigquery").check()


@pytest.mark.parametrize("engine", VENDORS)
def test_the_target_is_known_and_an_adapter_that_is_missing_is_named(
    engine: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(engine, monkeypatch)
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name.endswith(engine) else real(name, *more)
    )
    with pytest.raises(NeedsAPerson, match=rf"dbt's adapter for {engine} is not installed.*\[{engine}\]"):
        Warehouse(home)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: object())
    assert isinstance(Warehouse(home)._engine, Cloud)


def test_dlt_goes_where_the_variables_say(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key.json"
    key.write_text(
        json.dumps(
            {"project_id": "p", "private_key": "k", "client_email": "a@p", "token_uri": "t", "type": "service_account"}
        )
    )
    for engine in VENDORS:
        given(engine, monkeypatch)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("DATABRICKS_HOST", "https://nowhere.invalid/")
    found: dict[str, Any] = {}
    for engine in VENDORS:
        made = Cloud(home, engine).pipeline()
        assert made.destination.destination_name == engine
        assert made.dataset_name == "landing"
        assert Path(made.pipelines_dir).is_relative_to(home.root)
        found[engine] = made.destination.config_params
    assert found["snowflake"]["credentials"] == {
        "host": "nowhere", "username": "u", "password": "p", "role": "r", "warehouse": "w", "database": "cdp",
    }  # fmt: skip
    assert (found["bigquery"]["project_id"], found["bigquery"]["location"]) == ("cdp", "EU")
    assert json.loads(found["bigquery"]["credentials"])["client_email"] == "a@p"
    assert found["databricks"]["credentials"].pop("connection_parameters")
    assert found["databricks"]["credentials"] == {
        "server_hostname": "nowhere.invalid", "http_path": "/sql/1", "access_token": "t", "catalog": "cdp",
    }  # fmt: skip
    assert os.environ["RUNTIME__DLTHUB_TELEMETRY"] == "false"


def land(home: Home, source: str, stream: str, *payloads: str) -> None:
    Landing(home.landing).land(
        source, stream, [Page(records=[Record(payload=each, file="f") for each in payloads], state={})]
    )


def into(home: Home) -> Any:
    return cloud_load.pipeline(home, lambda: dlt.destinations.duckdb(str(home.root / "there.duckdb")), "duckdb")


def load(home: Home) -> list[str]:
    said: list[str] = []
    lines = logging.Handler()
    lines.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    cloud_load.log.addHandler(lines)
    cloud_load.load(into(home), home, STREAMS)
    cloud_load.log.removeHandler(lines)
    return said


def there(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home.root / "there.duckdb")) as connection:
        return connection.execute(sql).fetchall()


COUNTS = """select 'records', count(*), count(distinct _batch_id || _record_no) from landing.web__events
    union all select 'batches', count(*), count(distinct batch_id) from landing._batches order by 1"""


def test_each_landed_file_is_loaded_once_and_recorded(home: Home) -> None:
    land(home, "web", "events", '{"a":1}', '{"b":"é\\u0000"}')
    land(home, "web", "events", '{"c":2}')
    assert load(home) == ["loaded web.events: batch 1, 2 records", "loaded web.events: batch 2, 1 records"]
    assert there(home, COUNTS) == [("batches", 2, 2), ("records", 3, 3)]
    assert load(home) == []  # again: nothing
    assert there(home, COUNTS) == [("batches", 2, 2), ("records", 3, 3)]
    land(home, "shop", "orders", '{"order":1}')
    assert load(home) == ["loaded shop.orders: batch 3, 1 records"]
    columns = "_source, _stream, _batch_id, _batch_seq, _record_no, _file, _landed_at, _payload, _error"
    for table in ("web__events", "shop__orders"):
        files = f"{home.landing}/{table.replace('__', '/')}/*.parquet"
        assert (
            there(
                home, f"select {columns} from landing.{table} except all select {columns} from read_parquet('{files}')"
            )
            == []
        )
    batches = there(
        home, "select batch_id, batch_seq, source, stream, records, errors, landed_at from landing._batches order by 2"
    )
    assert [row[1:6] for row in batches] == [
        (1, "web", "events", 2, 0),
        (2, "web", "events", 1, 0),
        (3, "shop", "orders", 1, 0),
    ]
    kinds = there(home, "select distinct data_type from information_schema.columns where column_name = '_landed_at'")
    assert kinds == [("TIMESTAMP",)]


def test_a_crash_between_load_and_record_loads_nothing_twice(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    land(home, "web", "events", '{"a":1}')
    load(home)
    land(home, "web", "events", '{"a":2}', '{"a":3}')

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cloud_load, "_count", crash)
        with pytest.raises(KeyboardInterrupt):
            load(home)
    assert there(home, COUNTS) == [
        ("batches", 1, 1),
        ("records", 3, 3),
    ]  # loaded, not recorded: builds do not see it yet
    assert load(home) == ["loaded web.events: batch 2, 2 records"]
    assert there(home, COUNTS) == [("batches", 2, 2), ("records", 3, 3)]


def test_a_crash_in_dlt_is_made_good(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    land(home, "web", "events", '{"a":1}')
    load(home)
    land(home, "web", "events", '{"a":2}')
    from dlt.load.load import Load

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Load, "complete_package", crash)
        with pytest.raises(BaseException):  # noqa: B017
            load(home)
    load(home)
    assert there(home, COUNTS) == [("batches", 2, 2), ("records", 2, 2)]


def test_every_stream_has_a_table_and_counts_are_those_of_the_manifests(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(home)
    tables = {
        row[0] for row in there(home, "select table_name from information_schema.tables where table_schema = 'landing'")
    }
    assert {"web__events", "shop__orders", "_batches", "_ledger"} <= tables
    land(home, "web", "events", '{"a":1}', '{"a":2}')
    real = Batch.parts
    monkeypatch.setattr(Batch, "parts", lambda batch: (part.slice(1) for part in real(batch)))
    with pytest.raises(NeedsAPerson, match="1 records were loaded, but its manifest says 2"):
        load(home)
    assert there(home, "select count(*) from landing._batches") == [(0,)]


def test_another_homes_database_is_refused(home: Home) -> None:
    land(home, "web", "events", '{"a":1}')
    load(home)
    for file in (home.landing / "web" / "events").glob("0*"):
        file.unlink()
    with pytest.raises(NeedsAPerson, match="belongs to another CDP_HOME"):
        load(home)


def test_the_ledger_comes_along_and_is_read_like_any_warehouse(home: Home) -> None:
    folder = home.deliveries / "ledger" / "to_crm"
    folder.mkdir(parents=True)
    import pyarrow as pa

    rows = [{"run_id": "r", "sync": "to_crm", "row_key": str(number), "ledger_no": number} for number in (1, 2)]
    pq.write_table(pa.Table.from_pylist(rows, ledger.SCHEMA), folder / "0000000001-0000000002.parquet")
    load(home)
    load(home)
    assert there(home, "select row_key, ledger_no, code from landing._ledger order by 1") == [
        ("1", 1, None),
        ("2", 2, None),
    ]
    with into(home).sql_client() as client:
        reading = CloudReading(client)
        cursor = reading.execute("select row_key as K, ledger_no from landing._ledger where row_key = ?", ["2"])
        assert [column[0] for column in cursor.description or []] == ["k", "ledger_no"]
        assert cursor.fetchone() == ("2", 2)
        assert reading.execute("select '100%' as p").fetchall() == [("100%",)]
        with pytest.raises(RelationMissing):
            reading.execute("select 1 from staging.builds")
        assert not cloud._built(reading)


def test_a_ledger_of_an_earlier_version_gets_its_new_columns(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    before = pa.schema([field for field in cloud_load.LEDGER if field.name not in ("destination", "address")])
    with monkeypatch.context() as patched:
        patched.setattr(cloud_load, "LEDGER", before)
        load(home)
    load(home)  # no new file, and yet
    assert there(home, "select destination, address from landing._ledger") == []
    assert cloud_load._Loader(into(home), False).has("_ledger", cloud_load.LEDGER)


def attempts(home: Home, *numbers: int) -> None:
    rows = [Planned(n, "add", f"k{n}", None, "{}", "{}", "", None, f"i{n}", 1) for n in numbers]
    ledger.Ledger(home.deliveries).append("to_crm", "r", [Entry(row, "accepted", "", "") for row in rows], NOWHERE)


def compact(home: Home) -> None:
    assert of_landing.compact(Landing(home.landing), "web", "events", most=4)[0]
    assert of_ledger.compact(ledger.Ledger(home.deliveries), "to_crm", most=4)[0]
    compaction.sweep(home)


def test_what_was_loaded_before_it_was_compacted_is_not_loaded_again(home: Home) -> None:
    for number in range(3):
        land(home, "web", "events", *(f'{{"n":[{number},{n}]}}' for n in range(3)))
        attempts(home, 2 * number + 1, 2 * number + 2)
    load(home)
    for number in range(3, 6):
        land(home, "web", "events", *(f'{{"n":[{number},{n}]}}' for n in range(3)))
        attempts(home, 2 * number + 1, 2 * number + 2)
    compact(home)
    assert load(home) == [f"loaded web.events: batch {number}, 3 records" for number in (4, 5, 6)]
    compact_files = f"read_parquet('{home.landing}/web/events/compacted/*.parquet')"
    names = ", ".join(SCHEMA.names)
    for one, other in (("landing.web__events", compact_files), (compact_files, "landing.web__events")):
        assert there(home, f"select {names} from {one} except all select {names} from {other}") == []
    assert there(home, "select ledger_no, row_key from landing._ledger order by 1") == [
        (n, f"k{n}") for n in range(1, 13)
    ]
    attempts(home, 13)
    load(home)
    assert there(home, "select count(*), max(ledger_no) from landing._ledger") == [(13, 13)]


def test_a_ledger_that_an_earlier_version_loaded_by_file_is_gone_on_with(home: Home) -> None:
    import pyarrow as pa

    attempts(home, 1, 2)
    [file] = (home.deliveries / "ledger" / "to_crm").glob("*.parquet")
    by_file = pa.schema([*ledger.SCHEMA, ("_file", pa.string())])
    rows = pq.read_table(file).append_column("_file", pa.array([f"to_crm/{file.name}"] * 2))
    cloud_load._Loader(into(home), False).replace({"_ledger": (by_file, ["_file"], lambda: [rows])})
    for number in (3, 4):
        attempts(home, number)
        load(home)
    assert there(home, "select ledger_no, row_key from landing._ledger order by 1") == [
        (n, f"k{n}") for n in range(1, 5)
    ]


def test_times_get_a_zone_where_the_engine_wants_one(home: Home) -> None:
    land(home, "web", "events", '{"a":1}')
    cloud_load.load(into(home), home, STREAMS, zoned=True)
    kinds = there(
        home,
        "select distinct data_type from information_schema.columns where column_name in ('_landed_at', 'attempted_at')",
    )
    assert kinds == [("TIMESTAMP WITH TIME ZONE",)]


def test_the_whole_engine_over_a_local_database(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    given("databricks", monkeypatch)
    local = replace(VENDORS["databricks"], destination=lambda: dlt.destinations.duckdb(str(home.root / "there.duckdb")))
    monkeypatch.setitem(VENDORS, "databricks", local)
    home.root.mkdir()
    engine = Cloud(home, "databricks")
    engine.check()
    assert not engine.exists()
    with pytest.raises(NothingBuilt, match="There is no warehouse in databricks cdp yet"), engine.reading():
        pass
    land(home, "web", "events", '{"a":1}')
    engine.load(STREAMS)
    there(home, "create schema staging")
    there(home, "create table staging.builds as select 'abc' as rules_fingerprint, now() as started_at")
    assert engine.exists()
    with engine.reading() as reading:
        assert reading.execute("select count(*) as n from landing.web__events").fetchone() == (1,)
        with pytest.raises(QueryFailed):
            reading.execute("select nothing from")
    assert fingerprint_of_last_build(Warehouse(home)) == "abc"
    engine.remove()
    assert not engine.exists()
    assert there(
        home, "select count(*) from information_schema.schemata where schema_name in ('landing', 'staging')"
    ) == [(0,)]


def test_a_server_that_does_not_answer_is_told_from_one_that_refuses(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    given("snowflake", monkeypatch)
    elsewhere = replace(VENDORS["snowflake"], destination=lambda: dlt.destinations.duckdb("/nowhere/there.duckdb"))
    monkeypatch.setitem(VENDORS, "snowflake", elsewhere)
    with pytest.raises(TryAgain, match=r"snowflake cdp cannot be reached: .* Is SNOWFLAKE_ACCOUNT, .* right"):
        Cloud(home, "snowflake").load(STREAMS)
    from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

    def refuse(*_: Any) -> None:
        raise RuntimeError("250001: Incorrect username or password was specified.")

    monkeypatch.setattr(DuckDbSqlClient, "open_connection", refuse)
    with pytest.raises(NeedsAPerson, match=r"cannot be opened: .*Check SNOWFLAKE_ACCOUNT"):
        Cloud(home, "snowflake").check()
