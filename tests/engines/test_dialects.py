"""What is foreign to Snowflake, BigQuery and Databricks is found, what every engine takes is not refused, and their own functions
give what DuckDB's give, as far as that can be told without them."""

import json
import os
import re
import shutil
import subprocess
from typing import Any

import duckdb
import jinja2
import pytest

from cdp_orchestration.delivery.plan_sql import should_hold
from cdp_orchestration.delivery.sync import parse_sync
from tests.support.dialects import faults
from tests.support.harness import PROJECT

MACROS = PROJECT / "dbt_project" / "macros" / "dialect"
ENGINES = ["snowflake", "bigquery", "databricks"]


@pytest.mark.parametrize(
    ("engine", "sql", "fault"),
    [
        *((engine, "select [x + 1 for x in [1, 2]] as y", "") for engine in ENGINES),
        *((engine, "select list_transform([1], lambda x: x + 1) as y", "") for engine in ENGINES),
        *((engine, "select json_extract_string(a, '$.b') as y from t", "") for engine in ENGINES),
        *((engine, "select strftime(a, '%Y') as y from t", "") for engine in ENGINES),
        *((engine, "select made_up(a) as y from t", "MADE_UP") for engine in ENGINES),
        *((engine, "vacuum analyze t", "") for engine in ENGINES),
        *((engine, "select * from t left join", "") for engine in ENGINES),
        ("bigquery", "select try_cast(a as int64) as y from t", "TRY_CAST"),
        ("bigquery", "select a::int64 as y from t", "::"),
        ("bigquery", "select cast(a as text) as y from t", "TEXT"),
        ("bigquery", "select cast(a as double precision) as y from t", "DOUBLE"),
        ("bigquery", "select md5(a) as y from t", "md5 gives bytes"),
        ("bigquery", "select 1 as y where 1 = 0", "where needs a from"),
        ("bigquery", "select a from t union select a from u", "Union"),
        ("bigquery", "select concat_ws(',', a, b) as y from t", "CONCAT_WS"),
        ("bigquery", "select 'it''s' as y", "Adjacent string literals"),
        ("bigquery", "select position('x' in a) as y from t", ""),
        ("bigquery", "select hash from t", "reserved"),
        ("bigquery", "select t.a from t left join u on t.a > u.a", "equality"),
        ("bigquery", "select t.a from t join u on t.a = (select max(b) from v)", "subquery"),
        ("snowflake", "select strpos(a, 'x') as y from t", "STRPOS"),
        ("snowflake", "select regexp_matches(a, 'x') as y from t", ""),
        ("snowflake", "select start from t", "reserved"),
        ("databricks", "select a ->> 'b' as y from t", ""),
        ("databricks", "select safe_cast(a as int) as y from t", ""),
        ("databricks", "select 'it''s' as y", "quote"),
    ],
)
def test_what_an_engine_does_not_take_is_told(engine: str, sql: str, fault: str) -> None:
    found = faults(sql, engine)
    assert found, f"{engine} is said to take: {sql}"
    assert any(fault in each for each in found), found


@pytest.mark.parametrize("engine", ENGINES)
def test_what_every_engine_takes_is_not_refused(engine: str) -> None:
    sql = "with a as (select x, count(*) as n from t group by x) select coalesce(x, 'none') as x from a where n > 1 order by x"
    assert faults(sql, engine) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_what_delivery_asks_is_taken_too(engine: str) -> None:
    consent = [{"regulation": "gdpr", "purpose": purpose} for purpose in ("email_marketing", "ads")]
    meta = {"destination": "crm", "mode": "mirror", "consent": consent, "identifiers": ["email"]}
    sql, _ = should_hold(parse_sync("to_crm", "activation.to_crm", meta, "to_crm.yml"))
    assert faults(sql.replace("?", "'x'"), engine) == []


class Types:
    """What dbt calls a text."""

    @staticmethod
    def type_string() -> str:
        return "varchar"


def rendered(file: str, macro: str, *arguments: Any) -> str:
    """A macro of macros/dialect, without dbt."""

    class Namespace:
        def __getattr__(self, name: str) -> Any:
            engine = "duckdb" if file == "json" else file
            return getattr(module, f"{engine}__{name}", None) or getattr(module, name)

    text = "".join(
        (MACROS / f"{name}.sql").read_text() for name in ("hashing", "json_functions", "numbers", "text", file)
    )
    module = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(text).make_module(
        {"cdp": Namespace(), "adapter": None, "dbt": Types, "exceptions": None}
    )  # fmt: skip
    return str(getattr(module, macro)(*arguments))


@pytest.mark.parametrize("text", ["", "user_id=ann", "email=jane@example.com", "Ä", "=" * 100, *map(str, range(40))])
def test_the_64_bit_hash_is_duckdbs(text: str) -> None:
    ours = "cast(md5_number_upper($v::varchar) >> 1 as bigint)"
    bigquery = rendered("bigquery", "bigquery__hash64", "$v::varchar").replace("to_hex(", "(")
    digest = re.search(r"to_number\((.*), 'X+'\) / 2", rendered("snowflake", "snowflake__hash64", "$v::varchar"), re.S)
    assert digest
    with duckdb.connect() as connection:
        row = connection.execute(
            f"select {ours}, {bigquery.replace('int64', 'bigint')}, {digest[1]}", {"v": text}
        ).fetchone()
    assert row is not None
    assert row[1] == row[0]
    assert int(row[2], 16) // 2 == row[0]


def by_javascript(result: str, rows: list[tuple[Any, ...]], *arguments: str) -> list[Any]:
    """What a function of ours gives for each row of arguments, by the engine that node has."""
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "node is not installed: apt install nodejs"
        pytest.skip("node is not installed: the functions that Snowflake and BigQuery run are in JavaScript")
    body = rendered("snowflake", "json_javascript", result)
    script = f"const f = function ({', '.join(arguments)}) {{ {body} }}\nprocess.stdout.write(JSON.stringify({json.dumps(rows)}.map((row) => f(...row))))"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def by_duckdb(expression: str, rows: list[tuple[Any, ...]]) -> list[Any]:
    names = "abc"
    found = []
    with duckdb.connect() as connection:
        for row in rows:
            values = dict(zip(names, row, strict=False))
            got = connection.execute(
                f"select {expression}", {k: v for k, v in values.items() if f"${k}" in expression}
            ).fetchone()
            assert got is not None
            found.append(got[0])
    return found


ODD = ['{"a":1,"b":{"c":[1, {"d":null}],"e":"x,y}\\"{"}}', '{"a":null,"b":{"c":2},"é":12345678901234567890}', "[1,2]", '"x"', "{}",
       '{"b":"{}"}', ' { "b" : { "f" : [ ] , "e" : null } } ', '{"a\\"b":1}', '{"n":1.50}', '{"b":null}']  # fmt: skip


def test_objects_are_merged_as_duckdb_merges_them() -> None:
    pairs = [(base, patch) for base in ODD for patch in ODD]
    found = by_javascript("merged(base, patch)", pairs, "base", "patch")
    expected = by_duckdb("cast(json_merge_patch($a::varchar, $b::varchar) as varchar)", pairs)
    differ = [pair for pair in zip(pairs, found, expected, strict=True) if as_read(pair[1]) != as_read(pair[2])]
    assert differ == []
    assert by_javascript("merged(base, patch)", [(None, "{}"), ("{}", None)], "base", "patch") == [None, None]
    # Long numbers keep their digits, which JavaScript's own numbers would not.
    assert found[pairs.index(("{}", ODD[1]))] == '{"b":{"c":2},"é":12345678901234567890}'


def as_read(text: str | None) -> Any:
    """Objects as lists, so that order counts."""
    return None if text is None else json.loads(text, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs])


def test_external_ids_and_consents_are_read_as_duckdb_reads_them() -> None:
    texts = [
        (text,)
        for text in [
            '[{"id":"1","type":"crm","collection":"users"},{"id":2,"type":"erp"},{"id":" ","type":"x"},{"id":"3","type":"x","collection":"accounts"}]',
            '[{"id":"a\\"b","type":"é"},{"id":null,"type":"x"},{"type":"y"},"text",1,null,[]]',
            '[{"id":4214.0,"type":"x"},{"id":["a"],"type":"x"},{"id":{},"type":"x"},{"id":true,"type":"x"},{"id":"7","type":[1]}]',
            '[{"id":"true","type":"x"},{"id":"[1]","type":"x"},{"id":12345678901234567890,"type":5}]',
            '{"\\"Marketing\\"":true,"":false,"C:\\\\":"false","*":true,"$.x":[true]}',
            "[]",
            '{"Marketing":true,"Ads":false,"x":"true","y":1,"z":null}',
            '{"id":"1","type":"crm"}',
            '"x"',
            None,
        ]
    ]  # fmt: skip
    for macro, result in (
        ("external_identifiers", "externals(given)"),
        ("preferences_as_consents", "consents(given, 'gdpr')"),
        ("unreadable_externals", "unreadable(given) === 'true'"),
    ):
        given = ("$a::varchar", "gdpr") if macro == "preferences_as_consents" else ("$a::varchar",)
        assert by_javascript(result, texts, "given") == by_duckdb(rendered("json", f"duckdb__{macro}", *given), texts)
    entries = by_javascript(
        "entries(given)", [('{"a": 1, "b": {"c": [1, 2]}, "d": "x", "e": null}',), (None,), ("[1]",)], "given"
    )
    assert [[tuple(entry.values()) for entry in each] for each in entries] == [
        [("a", "1"), ("b", '{"c":[1,2]}'), ("d", '"x"'), ("e", "null")], [], []
    ]  # fmt: skip
