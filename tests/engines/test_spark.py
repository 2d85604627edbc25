"""Spark gives what DuckDB gives: each function of its dialect on odd values, and the demo company's day, every relation row by
row. Run by `make test-spark`, in an environment of its own; skipped where Spark is not installed."""

import importlib.util
import json
import re
import shutil
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Warehouse
from cdp_orchestration.warehouse.spark import Spark
from tests.builds.test_days import AS_OF, DAY_1, Way, day
from tests.engines.test_postgres import NUMBERS, TEXTS, random_texts
from tests.staging.test_times import MEANT
from tests.support.harness import PROJECT, Platform, dbt
from tests.support.macros import rendered

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None, reason="Spark is not installed here: `make test-spark` brings its own"
)
DIALECT = PROJECT / "dbt_project" / "macros" / "dialect"

# What no two builds, and no two deliveries, share (a receiver's words may name the run).
OF_A_BUILD = {"build_id", "run_id", "started_at", "attempted_at", "message"}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session for single expressions. Builds run in processes of their own."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.master": "local[1]", "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "false",
        "spark.sql.shuffle.partitions": "1", "spark.sql.codegen.wholeStage": "false", "spark.log.level": "ERROR",
        "spark.sql.analyzer.maxIterations": "500", "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")), "spark.ui.showConsoleProgress": "false",
    }  # fmt: skip
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


class Macros:
    """The macros of macros/dialect as one engine dispatches them, without dbt."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        text = "".join(file.read_text() for file in sorted(DIALECT.glob("*.sql")))
        text = re.sub(r"{% materialization.*?endmaterialization %}", "", text, flags=re.S)
        names = {"cdp": self, "modules": {"re": re}}
        self._module = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(text).make_module(names)

    def __getattr__(self, name: str) -> Any:
        for spelled in (f"{self._engine}__{name}", f"default__{name}", name):
            if hasattr(self._module, spelled):
                return getattr(self._module, spelled)
        raise AttributeError(name)


OURS, THEIRS = Macros("spark"), Macros("duckdb")


def differ(spark: Any, ours: str, theirs: str, values: list[str | None] | list[tuple[str | None, ...]]) -> list[Any]:
    """The values (v, or a and b) of which the two expressions do not make the same; on either engine something is made."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    names = ["a", "b"] if len(rows[0]) == 2 else ["v"]
    spark.createDataFrame(rows, ", ".join(f"{name} string" for name in names)).createOrReplaceTempView("given")
    found = [row[0] for row in spark.sql(f"select {ours} as made from given").collect()]
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        expected = []
        for row in rows:
            parameters = dict(zip(names, row, strict=True))
            given = ", ".join(f"cast(${name} as varchar) as {name}" for name in names)
            one = connection.execute(f"select {theirs} as made from (select {given}) as given", parameters).fetchone()
            expected.append(one[0] if one else None)
    assert sum(value is not None for value in found) > 3
    return [pair for pair in zip(rows, expected, found, strict=True) if str(pair[1]) != str(pair[2])]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_times_mean_the_same(spark: Any, zone: str) -> None:
    mutated = [
        t[:cut] + letter + t[cut + 1 :] for t in list(MEANT)[:24] for cut in (4, 10, 13, 19) for letter in "0T:.Z"
    ]
    values = [*MEANT, *mutated, *random_texts("0126-:T. Z+")]
    assert differ(spark, rendered("spark", "to_utc", "v", zone), rendered("duckdb", "to_utc", "v", zone), values) == []


def test_times_are_moved_alike(spark: Any) -> None:
    values = ["2026-01-31 23:59:59.999999", "2026-03-01", "1999-12-31 00:00:00.000001", None, "2026-10-25 00:30:00"]
    for seconds in (1800, -90 * 86400):
        moved = f"""date_format({OURS.plus("cast(v as timestamp_ntz)", seconds)}, 'yyyy-MM-dd HH:mm:ss.SSSSSS')"""
        theirs = f"(cast(v as timestamp) + interval '{seconds} seconds')"
        assert differ(spark, moved, f"strftime({theirs}, '%Y-%m-%d %H:%M:%S.%f')", values) == []


@pytest.mark.parametrize("kind", ["bigint", "double", "boolean", "decimal(18, 2)"])
def test_numbers_mean_the_same(spark: Any, kind: str) -> None:
    values = [*NUMBERS, "true", "T", "yes", "no", "1", "2", "False", "1d", "1f", *random_texts("01.5-+e ")]
    ours = OURS.to_money("v") if "decimal" in kind else OURS.to_type("v", kind)
    assert differ(spark, ours, f"try_cast(v as {kind})", values) == []


def test_hashes_quoted_texts_and_patterns_are_the_same(spark: Any) -> None:
    values = [*TEXTS, None, *random_texts(string.printable)]
    assert differ(spark, OURS.hash64("v"), THEIRS.hash64("v"), values) == []
    assert differ(spark, OURS.json_quote("v"), THEIRS.json_quote("v"), values) == []
    for pattern in ("^[0-]*$", r"^\d+$", r"it's|[a-z]\.com$"):
        ours, theirs = OURS.matches_pattern("v", pattern), THEIRS.matches_pattern("v", pattern)
        assert differ(spark, ours, theirs, [*values, "0-0", "12", "it's", "x.com", "xcom"]) == []


SCALARS = ['"x"', "1", "1.5", "true", "false", "null", "12345", '"é\\"\\\\\\n"', '"1"']
OBJECTS = [
    '{"a":1}',
    "{}",
    '{"a":null,"b":"1","c":1.5,"d":true,"e":[1,{"z":null}],"f":{"g":"h","i":{"j":1}}}',
    '{"f":{"i":{"k":"v"},"n":null},"b":{"new":null},"ä.b[0]\'?":"odd"}',
    '{"e":[2],"f":7,"a":{"deep":{"deeper":"x"}}}',
]  # fmt: skip
ARRAYS = ["[]", "[1]", '["x",1,null,{"a":"b"},[1,2]]']
NO_JSON = ["", "abc", "{", "[1,", "{a:1}", "zzz", "-", "nope", "tr", '{"a":1} and more', "[1] x", "1,2", "{'a':1}"]


def test_json_is_told_read_and_merged_alike(spark: Any) -> None:
    given = [*SCALARS, *OBJECTS, *ARRAYS, " [] ", *NO_JSON]
    assert differ(spark, OURS.json_kind("v"), THEIRS.json_kind("v"), given) == []
    assert differ(spark, OURS.json_scalar("v"), THEIRS.json_scalar("v"), [v for v in SCALARS if v != "null"]) == []
    for path in (["a"], ["f", "g"], ["e", 0], ["b"], ["ä.b[0]"]):
        assert differ(spark, f"coalesce({OURS.json_text('v', path)}, '-')", f"coalesce({THEIRS.json_text('v', path)}, '-')",
                      OBJECTS) == []  # fmt: skip
    pairs = [(base, patch) for base in [*OBJECTS, "[1]", None] for patch in [*OBJECTS, '"x"', None]]
    assert differ(spark, OURS.json_merge("a", "b"), THEIRS.json_merge("a", "b"), pairs) == []
    ours, theirs = OURS.preferences_as_consents("v", "gdpr"), THEIRS.preferences_as_consents("v", "gdpr")
    answers = ['{"ads":true,"mail":false,"x":1,"y":"true"}', "{}", "[true]", '{"ads":null}', "abc", None]
    assert differ(spark, f"coalesce({ours}, '-')", f"coalesce({theirs}, '-')", answers) == []
    ours, theirs = OURS.external_identifiers("v"), THEIRS.external_identifiers("v")
    listed = ['[{"id":"1","type":"ga","collection":"users"},{"id":2,"type":"x"},{"id":" ","type":"x"},{"type":"y"},3,"z"]',
              '[{"id":"1","type":"ga","collection":"accounts"}]', "[]", "{}", None]  # fmt: skip
    assert differ(spark, f"coalesce({ours}, '-')", f"coalesce({theirs}, '-')", listed) == []


def test_json_is_taken_apart_alike(spark: Any) -> None:
    def rows(sql: str) -> tuple[list[Any], list[Any]]:
        texts = [(text,) for text in (*OBJECTS, *ARRAYS, '[{"type":"email","value":"a"},{"type":"x","value":1}]')]
        spark.createDataFrame(texts, "v string").createOrReplaceTempView("given")
        found = [tuple(row) for row in spark.sql(getattr(OURS, sql)("given", ["v"], "v")).collect()]
        with duckdb.connect() as connection:
            connection.execute("create table given (v varchar)")
            connection.executemany("insert into given values (?)", texts)
            expected = connection.execute(getattr(THEIRS, sql)("given", ["v"], "v")).fetchall()
        return sorted(found, key=repr), sorted(expected, key=repr)

    for sql in ("explode_object", "explode_array"):
        found, expected = rows(sql)
        assert len(found) > 5
        assert [row for row in found if row not in expected] == [row for row in expected if row not in found] == []


def test_missing_java_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = Spark(Home(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(NeedsAPerson, match=f"no Java at {tmp_path}/bin/java. Spark needs Java 17 or later: install it"):
        spark.check()
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin" / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    with pytest.raises(NeedsAPerson, match="is too old"):
        spark.check()


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> tuple[Way, Way]:
    """The demo company on DuckDB, then on Spark from the same landing batches; either delivers."""
    ducks = Way(tmp_path_factory.mktemp("duckdb"))
    day(ducks.platform.root, DAY_1)
    ducks.build(DAY_1, "--full-refresh")
    sparks = Way(tmp_path_factory.mktemp("spark"), {"CDP_TARGET": "spark"})
    shutil.copytree(ducks.platform.root / "landing", sparks.platform.root / "landing")
    sparks.build(DAY_1)
    return ducks, sparks


@pytest.fixture
def compared(ways: tuple[Way, Way], monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both warehouses in one connection: ducks, and sparks."""
    ducks, sparks = ways
    monkeypatch.setenv("CDP_TARGET", "spark")
    copy = sparks.platform.root / "copy.duckdb"
    copy.unlink(missing_ok=True)
    Warehouse(Home(sparks.platform.root)).copy_to(copy)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{ducks.platform.root}/warehouse.duckdb' as ducks (read_only)")
        connection.execute(f"attach '{copy}' as sparks (read_only)")
        yield connection


def relations(connection: duckdb.DuckDBPyConnection, of: str) -> dict[str, dict[str, str]]:
    """Columns and their types of each relation."""
    rows = connection.execute(
        "select table_schema || '.' || table_name, column_name, data_type from information_schema.columns "
        "where table_catalog = ? and table_schema not in ('main', 'landing') order by ordinal_position", [of]).fetchall()  # fmt: skip
    found: dict[str, dict[str, str]] = {}
    for relation, column, kind in rows:
        found.setdefault(relation, {})[column] = kind
    return found


def manifest(platform: Platform) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((platform.root / "dbt" / "manifest.json").read_text())
    return found


# How attributes are recomputed in part, which they are not on Spark.
OF_INCREMENTS = {"profiles.touched", "profiles.moved_events", "profiles.calculated"}


def test_every_relation_is_the_same_row_by_row(ways: tuple[Way, Way], compared: duckdb.DuckDBPyConnection) -> None:
    expected, found = relations(compared, "ducks"), relations(compared, "sparks")
    assert set(found) == {relation for relation in expected if not relation.endswith("__part")}
    nodes = manifest(ways[1].platform)["nodes"].values()
    assert {
        f"{n['schema']}.{n['name']}"
        for n in nodes
        if n["resource_type"] == "model" and n["config"]["materialized"] != "ephemeral"
    } <= set(found)
    told, rows = {}, 0
    for relation, columns in expected.items():
        if relation in OF_INCREMENTS or relation.endswith("__part"):
            continue
        names = [name for name in columns if name not in OF_A_BUILD]
        # A share is a quotient: of decimals on Spark.
        shown = ", ".join("round(amount, 9) as amount" if name == "amount" else f'"{name}"' for name in names)
        sides = [f"select {shown} from {engine}.{relation}" for engine in ("ducks", "sparks")]
        assert set(found[relation]) == set(columns), relation
        for side, other in (sides, sides[::-1]):
            extra = compared.execute(f"({side}) except all ({other})").fetchall()
            if extra:
                told[side] = (len(extra), extra[:2])
        rows += compared.execute(f"select count(*) from ducks.{relation}").fetchall()[0][0]
    assert rows > 10_000
    assert told == {}
    for relation in ("identity.identifiers", "identity.merges", "identity.refusals", "staging.quarantine", "profiles.events",
                     "profiles.traits", "profiles.consents", "audiences.changes", "activation.deliveries"):  # fmt: skip
        assert compared.execute(f"select count(*) > 0 from sparks.{relation}").fetchall() == [(True,)], relation


def test_contracts_give_the_same_types(ways: tuple[Way, Way], compared: duckdb.DuckDBPyConnection) -> None:
    expected, found = relations(compared, "ducks"), relations(compared, "sparks")
    kept = [
        f"{node['schema']}.{node['name']}"
        for node in manifest(ways[1].platform)["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["contract"]["enforced"]
    ]
    assert len(kept) > 15
    assert {name: found[name] for name in kept} == {name: expected[name] for name in kept}


def test_the_destinations_hold_the_same(ways: tuple[Way, Way]) -> None:
    ducks, sparks = ways
    assert ducks.holds()
    assert sparks.holds() == ducks.holds()


def test_everything_spark_writes_is_under_the_home(ways: tuple[Way, Way]) -> None:
    assert not [name for name in ("metastore_db", "spark-warehouse", "derby.log") if (PROJECT / name).exists()]
    left = [folder.name for folder in (ways[1].platform.root / "spark").glob("warehouse/*.db/_*")]
    assert left == [], "scratch tables that nobody dropped"


def test_the_verbs_read_from_spark(ways: tuple[Way, Way], monkeypatch: pytest.MonkeyPatch) -> None:
    sparks = ways[1].platform
    monkeypatch.setenv("CDP_TARGET", "spark")
    query = "select cast(sum(records) as bigint), (select count(*) from landing.web__events) from landing._batches where stream = 'events'"
    with Warehouse(Home(sparks.root)).reading() as reading:
        [(told, landed)] = reading.execute(query).fetchall()
    assert told == landed > 1000
    status = sparks.cdp("status")
    assert "newsletter_to_crm" in status.stdout, status.stderr


def test_the_models_unit_tests_hold_on_spark(ways: tuple[Way, Way]) -> None:
    done = dbt(PROJECT, ways[1].platform.root, "test", "--resource-type", "unit_test", CDP_TARGET="spark")
    assert done.returncode == 0, done.stdout
    assert "PASS=0" not in done.stdout


def test_plain_dbt_must_rebuild_and_what_is_appended_stays(
    ways: tuple[Way, Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test, as it builds a part anew."""
    sparks = ways[1].platform
    refused = dbt(PROJECT, sparks.root, "run", "--select", "builds", CDP_TARGET="spark")
    assert refused.returncode != 0
    assert "On Spark over Parquet every build is a full one" in refused.stdout
    monkeypatch.setenv("CDP_TARGET", "spark")
    counted = "select (select count(*) from staging.builds), (select count(*) from audiences.changes)"
    with Warehouse(Home(sparks.root)).reading() as reading:
        [(builds, changes)] = reading.execute(counted).fetchall()
    some = ("--full-refresh", "--select", "builds", "current_build", "changes", "vips", "memberships")
    done = dbt(PROJECT, sparks.root, "run", *some, CDP_TARGET="spark", CDP_AS_OF=AS_OF[DAY_1])
    assert done.returncode == 0, done.stdout
    with Warehouse(Home(sparks.root)).reading() as reading:
        assert reading.execute(counted).fetchall() == [(builds + 1, changes)]
