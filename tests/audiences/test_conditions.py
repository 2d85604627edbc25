"""What each operator of a condition means, on DuckDB and on PostgreSQL; what is refused, and with which words."""

import re
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml

from tests.conftest import connect
from tests.support.dialects import faults
from tests.support.harness import PROJECT
from tests.support.macros import rendered

AS_OF = "2026-11-01 12:00:00"
CATALOGUE = {
    "traits": {"country": "text", "visits": "bigint", "born_on": "text", "status": "text"},
    "properties": {"total": "number", "destination": "text", "address": "map", "status": "number", "tags": "list"},
}


class Refused(Exception):
    pass


def _raise(message: str) -> None:
    raise Refused(message)


CONTEXT: dict[str, Any] = {
    "ref": lambda name: f"(select timestamp '{AS_OF}' as as_of)",
    "exceptions": SimpleNamespace(raise_compiler_error=_raise),
    "model": SimpleNamespace(original_file_path="dbt_project/models/5_audiences/readers.sql"),
    "var": lambda _: CATALOGUE,
    "api": SimpleNamespace(Relation=SimpleNamespace(create=lambda **_: "landing")),
    "target": SimpleNamespace(database="cdp"),
}


def sql(engine: str, macro: str, *arguments: Any, **named: Any) -> str:
    tried = {} if engine in ("duckdb", "postgres") else {"ref": lambda name: name}
    return str(rendered(engine, macro, *arguments, context={**CONTEXT, **tried}, **named))


# Of each type: values as they are written in SQL (None: missing), and of each condition those that meet it.
TEXTS = [
    "",
    "  ",
    "Rome",
    "ROME",
    "Romero",
    "CITTÀ",
    "città vecchia",
    "ΟΔΟΣ",
    "a.c",
    "abc",
    "it's",
    "two\nlines",
    "100%",
    "42",
]
NUMBERS = ["-1.5", "0", "3", "3.5", "10"]
TIMES = [
    "1984-02-29 00:00:00", "2000-11-01 00:00:00", "2001-11-07 23:00:00", "2025-11-08 00:00:00", "2026-10-01 00:00:00",
    "2026-10-01 23:59:59", "2026-10-02 00:00:00", "2026-10-25 12:00:00", "2026-10-25 12:00:01", "2026-11-01 00:00:00",
    "2026-11-01 11:00:00", "2026-11-01 12:00:00", "2026-11-01 12:00:01", "2026-11-08 12:00:00", "2026-11-08 12:00:01",
]  # fmt: skip
LISTS = ["[]", '["Red","blue"]', '["RED",null,3]', '["reddish"]', "[3,4,5]"]
MAPS = ['{"city":"Rome","n":{"at":"2026-10-31","of":"7"}}', '{"city":null,"n":{"at":"soon","of":7.5,"ok":true}}', "{}"]
Case = tuple[str, Any, dict[str, Any], list[str | None]]
CASES: dict[str, tuple[list[str], list[Case]]] = {
    "text": (TEXTS, [
        ("equals", "rome", {}, ["Rome", "ROME"]),
        ("=", "Rome", {"case_sensitive": True}, ["Rome"]),
        ("is", "città", {}, ["CITTÀ"]),
        ("equals", "οδος", {}, ["ΟΔΟΣ"]),
        ("equals", 42, {}, ["42"]),
        ("not_equals", "rome", {}, [None, *(text for text in TEXTS if text.lower() != "rome")]),
        ("!=", "rome", {"missing_matches_negative": False}, [text for text in TEXTS if text.lower() != "rome"]),
        ("in", ["rome", "IT'S"], {}, ["Rome", "ROME", "it's"]),
        ("in", ["rome", "Rome"], {"case_sensitive": True}, ["Rome"]),
        ("not_in", TEXTS[2:], {}, [None, "", "  "]),
        ("not in", TEXTS[2:], {"missing_matches_negative": False}, ["", "  "]),
        ("contains", "OM", {}, ["Rome", "ROME", "Romero"]),
        ("contains any of", ["%", "."], {}, ["a.c", "100%"]),
        ("contains", "À", {}, ["CITTÀ", "città vecchia"]),
        ("does not contain", "e", {}, [None, "", "  ", "CITTÀ", "ΟΔΟΣ", "a.c", "abc", "it's", "100%", "42"]),
        ("starts_with", "ROME", {}, ["Rome", "ROME", "Romero"]),
        ("starts_with", "Rome", {"case_sensitive": True}, ["Rome", "Romero"]),
        ("ends_with", ["o", "0%", "the rome"], {}, ["Romero", "100%"]),
        ("pattern", "a.c", {}, ["a.c"]),
        ("pattern", "a?c", {}, ["a.c", "abc"]),
        ("pattern", "rom*", {}, ["Rome", "ROME", "Romero"]),
        ("pattern", "two*S", {}, ["two\nlines"]),
        ("pattern", "*", {}, TEXTS),
        ("regex", "^ROM.$", {}, ["Rome", "ROME"]),
        ("regex", "tÀ", {}, ["CITTÀ", "città vecchia"]),
        ("regex", r"^\w+e$", {"case_sensitive": True}, ["Rome"]),
        ("exists", None, {}, TEXTS),
        ("not_exists", None, {}, [None]),
        ("is_empty", None, {}, [None, "", "  "]),
    ]),
    "number": (NUMBERS, [
        ("equals", 3, {}, ["3"]),
        ("=", 3.5, {}, ["3.5"]),
        ("!=", 3, {}, [None, "-1.5", "0", "3.5", "10"]),
        ("not_equals", 3, {"missing_matches_negative": False}, ["-1.5", "0", "3.5", "10"]),
        ("<", 0, {}, ["-1.5"]),
        ("<=", 0, {}, ["-1.5", "0"]),
        ("greater than", 3, {}, ["3.5", "10"]),
        (">=", 3, {}, ["3", "3.5", "10"]),
        ("between", (0, 3.5), {}, ["0", "3", "3.5"]),
        ("in", [0, -1.5], {}, ["-1.5", "0"]),
        ("not_in", [0, -1.5], {}, [None, "3", "3.5", "10"]),
        ("exists", None, {}, NUMBERS),
        ("not_exists", None, {}, [None]),
    ]),
    "timestamp": (TIMES, [
        # before leaves the day out, after has it.
        ("before", "2026-10-01", {}, TIMES[:4]),
        ("after", "2026-10-01", {}, TIMES[4:]),
        ("on_or_before", "2026-10-01", {}, TIMES[:6]),
        ("on_or_after", "2026-10-01", {}, TIMES[4:]),
        ("on", "2026-10-01", {}, TIMES[4:6]),
        ("between", ("2026-10-01", "2026-10-02"), {}, TIMES[4:7]),
        ("not_between", ("2026-10-01", "2026-11-08"), {}, [None, *TIMES[:4]]),
        ("before", "2026-11-01T12:00", {}, TIMES[:11]),
        ("on_or_before", "2026-11-01 12:00:00", {}, TIMES[:12]),
        ("within_last", 7, {}, TIMES[8:12]),
        ("within_last", {"hours": 1}, {}, TIMES[11:12]),
        ("not_within_last", {"days": 7}, {}, [None, *TIMES[:8], *TIMES[12:]]),
        ("not_within_last", 7, {"missing_matches_negative": False}, [*TIMES[:8], *TIMES[12:]]),
        ("within_next", 7, {}, TIMES[12:14]),
        ("before_last", 7, {}, TIMES[:8]),
        ("after_next", 7, {}, TIMES[14:]),
        # Today, and in the six days after it; the day itself is no anniversary of itself.
        ("anniversary", None, {}, ["2000-11-01 00:00:00"]),
        ("anniversary", 6, {}, ["2000-11-01 00:00:00", "2001-11-07 23:00:00"]),
        ("anniversary", 120, {}, [*TIMES[:4]]),
        ("anniversary", 118, {}, TIMES[1:4]),
        ("exists", None, {}, TIMES),
    ]),
    "boolean": (["true", "false"], [
        ("is_true", None, {}, ["true"]),
        ("is_false", None, {}, ["false"]),
        ("equals", False, {}, ["false"]),
        ("not_equals", False, {}, [None, "true"]),
        ("exists", None, {}, ["true", "false"]),
    ]),
    "list": (LISTS, [
        ("includes", "red", {}, LISTS[1:3]),
        ("includes", "Red", {"case_sensitive": True}, LISTS[1:2]),
        ("includes", 3, {}, [LISTS[2], LISTS[4]]),
        ("not_includes", "red", {}, [None, LISTS[0], *LISTS[3:]]),
        ("not_includes", "red", {"missing_matches_negative": False}, [LISTS[0], *LISTS[3:]]),
        ("partial_match", "RED", {}, LISTS[1:4]),
        ("intersects", ["blue", "reddish"], {}, [LISTS[1], LISTS[3]]),
        ("contains_all", ["red", 3], {}, [LISTS[2]]),
        ("size", (">=", 3), {}, [LISTS[2], LISTS[4]]),
        ("size", ("=", 0), {}, LISTS[:1]),
        ("is_empty", None, {}, [None, LISTS[0]]),
        ("exists", None, {}, LISTS),
    ]),
    "map": (MAPS, [
        ("exists", None, {"type": "map"}, MAPS),
        ("equals", "rome", {"path": "city"}, MAPS[:1]),
        ("not_equals", "rome", {"path": "city"}, [None, *MAPS[1:]]),
        ("not_exists", None, {"path": "city"}, [None, *MAPS[1:]]),
        (">", 7, {"path": "n.of"}, MAPS[1:2]),
        (">=", 7, {"path": "n.of"}, MAPS[:2]),
        ("before", "2026-11-01", {"path": "n.at"}, MAPS[:1]),
        ("within_last", 2, {"path": "n.at"}, MAPS[:1]),
        ("not_within_last", 2, {"path": "n.at"}, [None, *MAPS[1:]]),
        ("is_true", None, {"path": "n.ok"}, MAPS[1:2]),
    ]),
}  # fmt: skip
COLUMN_TYPES = {"number": "double precision", "timestamp": "timestamp", "boolean": "boolean"}


def question(engine: str) -> str:
    """One query: a row per type and value, with the numbers of the conditions that it meets, and of those that are null."""
    parts = []
    for kind, (values, cases) in CASES.items():
        conditions = [
            sql(
                engine,
                "condition",
                "given.x",
                operator,
                value,
                **{**({} if "path" in more else {"type": kind}), **more},
            )
            for operator, value, more, _ in cases
        ]
        met = " || ".join(f"case when {each} then ' {place}' else '' end" for place, each in enumerate(conditions))
        null = " || ".join(
            f"case when ({each}) is null then ' {place}' else '' end" for place, each in enumerate(conditions)
        )
        literals = ", ".join(
            "(null)" if value is None else "('" + value.replace("'", "''") + "')" for value in [None, *values]
        )
        parts.append(
            f"select '{kind}' as kind, given.t, {met} as met, {null} as unsaid from "
            f"(select t, cast(t as {COLUMN_TYPES.get(kind, 'text')}) as x from (values {literals}) as v (t)) as given"
        )
    return " union all ".join(parts)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_each_operator_means_what_the_docs_say(engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "postgres":
        variables = request.getfixturevalue("postgres")
        with closing(connect(variables, variables["PGDATABASE"])) as connection, connection.cursor() as cursor:
            cursor.execute("create schema if not exists landing")
            cursor.execute(sql(engine, "postgres_functions"))
            cursor.execute(question(engine))
            rows = cursor.fetchall()
    else:
        rows = duckdb.execute(question(engine)).fetchall()
    assert not [row for row in rows if row[3]], "a condition is null"
    for kind, (_, cases) in CASES.items():
        for place, (operator, value, more, expected) in enumerate(cases):
            met = {text for of, text, places, _ in rows if of == kind and str(place) in places.split()}
            assert met == set(expected), f"{kind} {operator} {value} {more}"


OPERATORS = PROJECT / "tests" / "audiences" / "operators"
HELPERS = {
    "place": {"within_km"},
    "event": {"performed", "first_performed", "last_performed", "performed_sequence", "property_aggregate", "same_property",
              "abandoned"},
    "audience": {"member_of", "excluding", "entered_within", "exited_within"},
    "consent_and_identity": {"has_consent", "has_identifier", "has_device"},
    "score": {"attribute", "percentile_of", "trait"},
}  # fmt: skip


def test_every_operator_has_a_dbt_unit_test_and_the_page_says_where() -> None:
    """Which run on both engines (tests/builds/test_models.py). The page names of each operator where, and what a null means."""
    page = (PROJECT / "docs" / "audiences.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|") and "_operators.yml" in line]
    due = {
        "date" if kind == "time" else kind: set(names)
        for kind, names in rendered("duckdb", "operators_of_kinds", context=CONTEXT).items()
    } | HELPERS
    assert {f"{kind}_operators" for kind in due} == {file.stem for file in OPERATORS.glob("*.yml")}
    for kind, operators in due.items():
        [test] = yaml.safe_load((OPERATORS / f"{kind}_operators.yml").read_text())["unit_tests"]
        asked = {each["asked"].removeprefix("not ").split(",")[0].split(" ")[0] for each in test["expect"]["rows"]}
        assert operators <= asked, f"{kind}: {operators - asked}"
        said = {
            word for row in rows if f"`{kind}_operators.yml`" in row[3] for word in re.findall(r"`([^`]+)`", row[1])
        }
        assert operators <= said, f"{kind}: {operators - said}"


def test_a_place_is_within_so_many_kilometres() -> None:
    within = sql("duckdb", "within_km", "lat", "lon", 41.9028, 12.4964, 480)
    places = "(values ('Rome', 41.9028, 12.4964), ('Milan', 45.4642, 9.19), ('Lyon', 45.764, 4.8357), ('?', null, 1))"
    query = f"select name, {within} from {places} as places (name, lat, lon)"
    assert dict(duckdb.execute(query).fetchall()) == {"Rome": True, "Milan": True, "Lyon": False, "?": False}


@pytest.mark.parametrize("engine", ["snowflake", "bigquery", "spark"])
def test_other_engines_take_each_of_them(engine: str) -> None:
    """As far as can be told without the engine."""
    name = "databricks" if engine == "spark" else engine
    wrong = {}
    for kind, (_, cases) in CASES.items():
        for operator, value, more, _ in cases:
            given = sql(
                engine, "condition", "x", operator, value, **{**({} if "path" in more else {"type": kind}), **more}
            )
            wrong[given] = faults(f"select 1 as y from t where {given}", name, frozenset({"COMPOSED"}))
    within = sql(engine, "within_km", "lat", "lon", 41.9, 12.5, 10)
    wrong[within] = faults(f"select 1 as y from t where {within}", name)
    assert [(found, given) for given, found in wrong.items() if found] == []


def test_a_condition_knows_the_types_of_the_catalogue() -> None:
    assert sql("duckdb", "condition", "people.visits", ">", 3) == "(people.visits is not null and (people.visits > 3))"
    assert sql("duckdb", "condition", '"total"', "<", 3) == '("total" is not null and ("total" < 3))'
    # A text that is read as a time.
    born = sql("duckdb", "condition", "people.born_on", "anniversary", type="timestamp")
    query = f"select people.born_on from (values ('1990-11-01'), ('1990-11-02'), ('Sunday')) as people (born_on) where {born}"
    assert duckdb.execute(query).fetchall() == [("1990-11-01",)]
    where = [("total", ">", 100), ("destination", "in", ["Rome", "Bari"]), ("address.city", "equals", "Rome"),
             ("address", ">", 3, {"path": "n"}), ("destination", "equals", "X", {"case_sensitive": True})]  # fmt: skip
    got = sql("duckdb", "conditions", where)
    assert got.startswith('((events."total" is not null and (events."total" > 100))\n    and (events."destination"')
    assert got.count("\n    and ") == 4
    assert sql("duckdb", "conditions", []) == "1 = 1"


@pytest.mark.parametrize(
    ("macro", "arguments", "more", "words"),
    [
        (
            "condition",
            ("people.shoe", "equals", 1),
            {},
            "people.shoe: its type is not known: declare it in vars: catalogue",
        ),
        ("condition", ("status", "equals", 1), {}, "its type is not known"),  # a trait and a property differ
        ("condition", ("x", "equals", 1), {"type": "coins"}, "'coins' is no type: write one of text"),
        (
            "condition",
            ("total", "contains", 1),
            {},
            "'contains' is for a text, and this is a number; write one of equals",
        ),
        ("condition", ("total", "near", 1), {}, "there is no operator 'near'; write one of equals"),
        ("condition", ("total", ">", "100"), {}, "> needs a number, not '100'"),
        ("condition", ("total", ">", [1, 2]), {}, "> takes one value"),
        ("condition", ("total", ">"), {}, "> needs a value"),
        ("condition", ("total", "between", (5, 1)), {}, "the lower one first"),
        ("condition", ("country", "in", []), {}, "in needs a value"),
        ("condition", ("country", "contains", ""), {}, "not an empty text"),
        ("condition", ("country", "equals", ["IT", "FR"]), {}, "write in"),
        ("condition", ("occurred_at", "within_last", 0), {}, "a whole number of days above 0"),
        ("condition", ("occurred_at", "within_last", -7), {}, "not -7"),
        ("condition", ("occurred_at", "within_last", {"weeks": 1}), {}, "{'hours': 12}"),
        ("condition", ("occurred_at", ">", "2026-10-01"), {}, "write one of before"),
        ("condition", ("occurred_at", "before", "2026-02-30"), {}, "write a date ('2026-10-01')"),
        ("condition", ("occurred_at", "on", "2026-02-03 10:00"), {}, "on needs a date"),
        ("condition", ("occurred_at", "anniversary", 400), {}, "up to 363 days"),
        ("condition", ("tags", "size", 3), {}, "size needs a comparison"),
        ("condition", ("address", "equals", "x"), {}, "name.key"),
        ("condition", ("is_known", "equals", "yes"), {}, "is_true or is_false"),
        ("within_km", ("lat", "lon", 95, 0, 10), {}, "latitude -90 to 90"),
        ("conditions", ([("shoe_size", ">", 3)],), {}, "declare it in vars: catalogue: properties"),
        ("conditions", ([("total.x", ">", 3)],), {}, "total is a number"),
        ("conditions", (("total", ">", 3),), {}, "write (property, operator, value)"),
        ("conditions", ("total > 3",), {}, "write a list of conditions"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(
    macro: str, arguments: tuple[Any, ...], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused) as refused:
        sql("duckdb", macro, *arguments, **more)
    assert str(refused.value).startswith("dbt_project/models/5_audiences/readers.sql: ")
    assert words in str(refused.value)
