"""A stream that is a table: landed, typed and joined; nothing of it lost, and increments as a rebuild. The example of
docs/mapping.md, as it is written there."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.queries.checks import _unread_models
from cdp_orchestration.queries.counts import tables
from tests.conftest import connect
from tests.identity.test_identity import copy_of_the_project, prepare
from tests.staging.test_enrichers import CONTEXT, Refused
from tests.support.harness import PROJECT, Platform, dbt
from tests.support.macros import rendered

PAGE = PROJECT / "docs" / "mapping.md"
STAGING = "stg_till__products"


def examples() -> dict[str, str]:
    """The files that the page shows, by path."""
    blocks = re.findall(r"```(?:sql|yaml)\n(?:--|#) (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(blocks)


def land(home: Path, source: str, stream: str, *records: object) -> None:
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    Landing(home / "landing").land(source, stream, [Page([Record(text, file="f") for text in texts], {})])


def build(project: Path, home: Path, without: list[str], *select: str) -> None:
    done = dbt(project, home, "build", "--exclude-resource-type", *without, "--select", *select)
    assert done.returncode == 0, done.stdout[-4000:]


FIRST = [
    {"sku": "p1", "name": "Bread", "price": "$2.50", "category": "food", "changed": "2026-10-01"},
    {"sku": 2.0, "name": "Soap", "price": 3, "category": "home", "changed": "2026-10-01T10:00:00Z"},
    {"sku": "p3", "name": ["Tea"], "price": "free", "category": "food", "changed": "soon"},
    {"sku": "  ", "name": "Nothing"},
    {"sku": {"a": 1}, "name": "Object"},
    "[1]",
]
SECOND = [
    {"sku": "p1", "name": "Bread", "price": 2.8, "category": "food", "changed": "2026-10-03"},
    {"sku": "p1", "name": "Old bread", "price": 2.1, "category": "food", "changed": "2026-09-01"},
    {"sku": "2", "name": "Soap", "price": 3.5, "category": "home", "changed": "2026-09-01"},
    {"name": "no key"},
]
STATE = "select sku, name, price, category, changed_at, batch_seq, record_no, versions, last_batch_seq from staging.stg_till__products order by sku"
ASIDE = ("select batch_seq, record_no, scope, reason, field, detail, file_record_no from staging.refused "
         "where source = 'till' order by 1, 2, 5")  # fmt: skip


FIRST_ASIDE = [
    (1, 2, "field", "impossible_timestamp", "changed", "soon", 3), (1, 2, "field", "wrong_type", "name", '["Tea"]', 3),
    (1, 2, "field", "wrong_type", "price", '"free"', 3), (1, 3, "record", "missing_field", "sku", None, 4),
    (1, 4, "record", "missing_field", "sku", '[{"field":"sku","reason":"not_a_text_or_number","detail":"{\\"a\\":1}"}]', 5),
    (1, 5, "record", "not_an_object", None, None, 6),
]  # fmt: skip
SECOND_ASIDE = [(2, 3, "record", "missing_field", "sku", None, 4)]
LANDED = "_batch_id text, _batch_seq bigint, _record_no bigint, _landed_at timestamp, _file text, _error text, _payload text, _document text"
ARGUMENTS = {
    "source": "till", "stream": "products", "key": ["sku"], "columns": {"name": "text", "price": "money", "category": "text"},
    "cursor": "changed",
}  # fmt: skip


def check(execute: Callable[[str], Any], engine: str) -> None:
    """The statements of a first build, of an increment over what it takes in, and of a rebuild, which gives the same rows."""
    execute(f"create table landed ({LANDED})")
    for made, batches in (("known", {1: FIRST}), ("grown", {2: SECOND}), ("rebuilt", {1: FIRST, 2: SECOND})):
        execute("delete from landed")
        for batch, records in batches.items():
            for number, record in enumerate(records):
                text = (record if isinstance(record, str) else json.dumps(record, separators=(",", ":"))).replace(
                    "'", "''"
                )
                at = "timestamp '2026-10-09'"
                execute(f"insert into landed values ('b{batch}', {batch}, {number}, {at}, 'f', null, '{text}', null)")
        context = {
            **CONTEXT, "source": lambda *_: "landed", "config": lambda **_: None, "execute": True, "this": "known",
            "is_incremental": lambda made=made: made == "grown", "flags": SimpleNamespace(FULL_REFRESH=True),
            "model": {"resource_type": "unit_test", "config": {"meta": {"table": ARGUMENTS}}},
        }  # fmt: skip
        execute(f"create table {made} as {rendered(engine, 'table_stream', *ARGUMENTS.values(), context=context)}")
        inserted = str(rendered(engine, "set_aside", context=context))
        refused = inserted[inserted.index("select") :]
        aside = execute(
            f"select batch_seq, record_no, scope, reason, field, detail, file_record_no from ({refused}) as told order by 1, 2, 5"
        )
        assert aside == [row for batch in batches for row in (FIRST_ASIDE if batch == 1 else SECOND_ASIDE)]
    # As delete+insert leaves it.
    together = (
        "(select * from known where sku not in (select sku from grown) union all select * from grown) as together"
    )
    assert execute(f"select * from {together} order by sku") == execute("select * from rebuilt order by sku")
    assert execute("select sku, name, price, category, versions from rebuilt order by sku") == [
        ("2", "Soap", 3.0, "home", 2), ("p1", "Bread", 2.8, "food", 3), ("p3", None, None, "food", 1),
    ]  # fmt: skip


def test_duckdb_reads_a_table() -> None:
    with duckdb.connect() as connection:
        check(lambda sql: connection.execute(sql).fetchall(), "duckdb")


def test_postgres_reads_a_table(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("set jit = off")  # as the platform does
        cursor.execute("create schema landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))

        def execute(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchall() if sql.startswith("select") else None

        check(execute, "postgres")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"price": "coins"}, "coins is no type; write one of text, email"),
        ({"unit price": "money"}, "is no name of a column"),
        ({"versions": "integer"}, "has a column of that name already"),
        ({"sku": "integer"}, "a key is a text: say text"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_its_file(columns: dict[str, str], told: str) -> None:
    with pytest.raises(Refused) as refused:
        rendered("duckdb", "table_columns", {**ARGUMENTS, "columns": columns}, context=CONTEXT)
    assert "stg_till__receipts.sql: columns: " in str(refused.value)
    assert told in str(refused.value)


def test_a_table_keeps_the_latest_version_and_loses_nothing(tmp_path: Path) -> None:
    project, home = copy_of_the_project(tmp_path / "project"), tmp_path / "home"
    for path, text in examples().items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    platform = Platform(home, project)
    assert f"dbt_project/models/1_staging/{STAGING}.sql" in examples()
    arrivals = project / "dbt_project" / "models" / "1_staging" / "arrivals.sql"
    line = "    ('till', 'receipts'): ref('stg_till__receipts'),\n"
    arrivals.write_text(arrivals.read_text().replace("{% set streams = {\n", "{% set streams = {\n" + line))
    prepare(home)
    Landing(home / "landing").prepare("till", "receipts")
    land(home, "till", "products", *FIRST)
    bought = [
        {"receipt_no": n, "card": "c1", "sku": sku, "total": 5, "sold_at": "2026-10-05"}
        for n, sku in enumerate(["p1", "2", "p1", "p9"])
    ]
    land(home, "till", "receipts", *bought)
    build(project, home, ["unit_test", "test"], "+food_bought", "intake")
    assert [(*row[:4], row[7]) for row in platform.rows(STATE)] == [
        ("2", "Soap", 3.0, "home", 1), ("p1", "Bread", 2.5, "food", 1), ("p3", None, None, "food", 1),
    ]  # fmt: skip
    assert platform.rows("select food_bought from attributes.food_bought") == [(2,)]
    assert platform.rows(ASIDE) == FIRST_ASIDE

    land(home, "till", "products", *SECOND)
    build(project, home, ["unit_test"], "builds", "current_build", "refused", "intake", STAGING)
    assert [(*row[:4], row[7]) for row in platform.rows(STATE)] == [
        ("2", "Soap", 3.0, "home", 2), ("p1", "Bread", 2.8, "food", 3), ("p3", None, None, "food", 1),
    ]  # fmt: skip
    assert platform.rows(ASIDE) == [*FIRST_ASIDE, (3, 3, "record", "missing_field", "sku", None, 4)]
    manifest = json.loads((home / "dbt" / "manifest.json").read_text())
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        assert tables(connection, manifest) == {("till", "products"): (3, 3, 4)}
    assert not _unread_models(manifest)
    for source in manifest["sources"].values():
        if source["name"] == "products":
            source["config"]["meta"] = source["meta"] = {}
    assert [
        "makes a table of a stream that its twin does not call one" in problem for problem in _unread_models(manifest)
    ] == [True]
