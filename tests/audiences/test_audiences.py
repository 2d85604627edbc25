"""What the helpers for audiences select, on DuckDB and on PostgreSQL: a small world, and of each helper the people it names."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml

from tests.conftest import connect
from tests.identity.test_identity import copy_of_the_project
from tests.support.dialects import faults
from tests.support.harness import PROJECT, dbt
from tests.support.macros import rendered

VARS = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
RELATIONS = {
    "current_build": "staging.current_build", "identifiers": "identity.identifiers", "profiles": "profiles.profiles",
    "events": "profiles.events", "consents": "profiles.consents", "lifetime_value": "attributes.lifetime_value",
    "order_count": "attributes.order_count", "favourite_destination": "attributes.favourite_destination",
    "vips": "audiences.vips", "changes": "audiences.changes",
}  # fmt: skip
HOUR, DAY = 3600, 24 * 3600

# What each person did: event, how many seconds before the build's as_of, properties.
DID: dict[str, list[tuple[str, int, dict[str, Any]]]] = {
    "nobody": [],
    # The window of 30 days begins exactly 30 * 24 hours ago, and that moment is outside.
    "at the edge": [("Product Added", 30 * DAY, {"price": 500})],
    "in the edge": [("Product Added", 30 * DAY - 1, {"price": 80})],
    "right now": [("Product Added", 0, {"price": 120, "destination": "Rome"})],
    "not yet": [("Product Added", -1, {"price": 500})],
    "long ago": [("Product Added", 60 * DAY, {"price": 500}), ("Order Completed", 59 * DAY, {"total": 900})],
    "a page": [("page: Product Added", HOUR, {})],
    "eager": [("Product Added", 3 * DAY, {"price": 99, "destination": "Bari"}),
              ("Product Added", 2 * DAY, {"price": 101, "destination": "Oslo"}),
              ("Product Added", 5 * HOUR, {"price": 300, "destination": "Bari"})],
    "buyer": [("Product Viewed", 3 * DAY, {"destination": "Rome"}), ("Product Added", 2 * DAY, {"destination": "ROME"}),
              ("Order Completed", 1 * DAY, {"destination": "Rome", "total": 100.5}),
              ("Order Completed", 1 * DAY, {"destination": "Rome", "total": 20})],
    "other trip": [("Product Added", 9 * HOUR, {"destination": "Oslo"}), ("Order Completed", 8 * HOUR, {"destination": "Bari"})],
    "backwards": [("Order Completed", 5 * DAY, {}), ("Product Added", 4 * DAY, {"destination": "Lima"}),
                  ("Product Viewed", 3 * DAY, {"destination": "Lima"})],
    "slow": [("Product Viewed", 9 * DAY, {}), ("Page Read", 5 * DAY, {}), ("Product Added", 2 * DAY, {})],
}  # fmt: skip
PEOPLE = {
    "eager": ("IT", "gold", "eager@shop.example"), "buyer": ("it", None, "buyer@mail.example"),
    "slow": ("FR", "silver", None),
}  # fmt: skip


def world() -> Iterator[str]:
    """Statements that both engines take."""
    for schema in ("staging", "identity", "profiles", "attributes", "audiences"):
        yield f"create schema {schema}"
    yield "create table staging.current_build as select timestamp '2026-11-01 12:00:00' as as_of, 'b9' as build_id"
    traits = {"bigint": "bigint", "double": "double precision", "boolean": "boolean", "timestamp": "timestamp"}
    columns = "".join(
        f', "{name}" {traits.get(entry if isinstance(entry, str) else entry["type"], "text")}'
        for name, entry in VARS["catalogue"]["traits"].items()
    )
    yield f"""create table profiles.profiles (
        profile_id text, first_seen_at timestamp, last_seen_at timestamp, is_known boolean{columns})"""
    yield "create table identity.identifiers (identifier_type text, identifier_value text, profile_id text)"
    for person in DID:
        country, tier, email = PEOPLE.get(person, (None, None, None))
        said = ["null" if value is None else f"'{value}'" for value in (email, country, tier)]
        yield f"""insert into profiles.profiles (profile_id, is_known, email, country, loyalty_tier)
            values ('{person}', {str(person in PEOPLE).lower()}, {", ".join(said)})"""
        if email:
            yield f"insert into identity.identifiers values ('email', '{email}', '{person}')"
    yield "insert into identity.identifiers values ('ios_id', 'i-1', 'slow')"
    properties = {
        name: entry if isinstance(entry, str) else entry["type"]
        for name, entry in VARS["catalogue"]["properties"].items()
    }
    typed = "".join(
        f', "{name}" {"bigint" if type_ == "integer" else "double precision" if type_ in ("number", "money") else "text"}'
        for name, type_ in properties.items()
    )
    yield f"""create table profiles.events (message_id text, profile_id text, type text, event_name text, occurred_at timestamp,
        source text, properties text, arrival bigint{typed})"""
    everybody: list[tuple[str | None, str, int, dict[str, Any]]] = [
        (person, *did) for person, all_of_it in DID.items() for did in all_of_it
    ]
    # Of nobody known: `not in` must not stumble over it.
    everybody.append((None, "Product Added", HOUR, {"price": 500}))
    for arrival, (person, event, ago, said_of_it) in enumerate(everybody):
        kind, _, name = event.rpartition(": ")
        row = {"profile_id": person, "type": kind or "track", "event_name": name, "arrival": arrival,
               "properties": json.dumps(said_of_it), **said_of_it}  # fmt: skip
        values = ", ".join(
            "null" if value is None else str(value) if isinstance(value, int | float) else f"'{value}'"
            for value in row.values()
        )
        yield f"""insert into profiles.events (occurred_at, {", ".join(row)})
            values (timestamp '2026-11-01 12:00:00' - interval '1 second' * ({ago}), {values})"""
    yield """create table profiles.consents as select * from (values
        ('eager', 'gdpr', 'email_marketing', 'granted'), ('buyer', 'gdpr', 'email_marketing', 'denied'),
        ('slow', 'gdpr', 'ads', 'granted')) as v (profile_id, regulation, purpose, state)"""
    yield """create table attributes.lifetime_value as select profile_id, cast(value as double precision) as lifetime_value_usd,
        cast(last as timestamp) as last_order_at from (values ('eager', 100, '2026-08-01'), ('buyer', 2500, '2026-10-31'),
        ('slow', 500, '2026-09-02 12:00:00'), ('long ago', null, '2026-09-02 12:00:01')) as v (profile_id, value, last)"""
    yield """create table attributes.order_count as select profile_id, cast(n as bigint) as order_count
        from (values ('buyer', 2), ('slow', 1), ('eager', null)) as v (profile_id, n)"""
    yield """create table attributes.favourite_destination as
        select * from (values ('buyer', 'Rome'), ('eager', 'Bari')) as v (profile_id, favourite_destination)"""
    yield "create table audiences.vips as select 'buyer' as profile_id"
    yield """create table audiences.changes as select v.audience, v.profile_id, v.change, cast(v.moment as timestamp) as "at", v.moment as build_id
        from (values ('vips', 'buyer', 'entered', '2026-10-31 12:00:00'), ('vips', 'slow', 'entered', '2026-10-02 12:00:00'),
        ('vips', 'slow', 'exited', '2026-10-31 13:00:00'), ('readers', 'eager', 'entered', '2026-11-01 12:00:00')
        ) as v (audience, profile_id, change, moment)"""


CONTEXT: dict[str, Any] = {
    "ref": RELATIONS.__getitem__,
    "var": VARS.__getitem__,
    "config": lambda **_: "",
    "model": SimpleNamespace(original_file_path="dbt_project/models/5_audiences/readers.sql"),
    "exceptions": SimpleNamespace(raise_compiler_error=lambda message: (_ for _ in ()).throw(ValueError(message))),
}
ALL = set(DID)
ADDED = {"in the edge", "right now", "eager", "buyer", "other trip", "backwards", "slow"}  # in the last 30 days
VIEWED_FIRST = ["Product Viewed", "Product Added"]
Call = tuple[str, tuple[Any, ...], dict[str, Any], set[str]]
CALLS: list[Call] = [
    ("trait", ("country", "equals", "IT"), {}, {"eager", "buyer"}),
    ("trait", ("country", "equals", "IT"), {"case_sensitive": True}, {"eager"}),
    ("trait", ("loyalty_tier", "not_in", ["gold", "silver"]), {}, ALL - {"eager", "slow"}),
    ("trait", ("loyalty_tier", "not_equals", "gold"), {"missing_matches_negative": False}, {"slow"}),
    ("trait", ("is_known", "is_true"), {}, {"eager", "buyer", "slow"}),
    ("attribute", ("lifetime_value", "lifetime_value_usd", ">=", 500), {}, {"buyer", "slow"}),
    ("attribute", ("lifetime_value", "last_order_at", "before_last", 60), {}, {"eager", "slow"}),
    ("attribute", ("order_count", "order_count", "<", 2), {}, {"slow"}),
    ("attribute", ("order_count", "order_count", "<", 2), {"missing": 0}, ALL - {"buyer"}),
    ("attribute", ("order_count", "order_count", "!=", 0), {"missing": 0}, {"buyer", "slow"}),
    ("attribute", ("order_count", "order_count", "=", 0), {"missing": 0}, ALL - {"buyer", "slow"}),
    ("attribute", ("favourite_destination", "favourite_destination", "equals", "rome"), {}, {"buyer"}),
    ("attribute", ("favourite_destination", "favourite_destination", "not_equals", "rome"), {}, ALL - {"buyer"}),
    ("attribute", ("favourite_destination", "favourite_destination", "not_exists"), {}, ALL - {"buyer", "eager"}),
    ("percentile_of", ("lifetime_value", "lifetime_value_usd", ">=", 0.5), {}, {"buyer", "slow"}),
    ("percentile_of", ("lifetime_value", "lifetime_value_usd", "<", 0.5), {}, {"eager"}),
    ("has_consent", ("gdpr", "email_marketing"), {}, {"eager"}),
    ("has_consent", ("gdpr", "email_marketing", "denied"), {}, {"buyer"}),
    ("has_consent", ("gdpr", "email_marketing", "missing"), {}, ALL - {"eager", "buyer"}),
    ("has_identifier", ("email",), {}, {"eager", "buyer"}),
    ("has_identifier", ("email", "ends_with", "@SHOP.example"), {}, {"eager"}),
    ("has_device", (), {}, {"slow"}),
    ("has_device", ("android",), {}, set()),
    ("last_performed", ("Product Added", "within_last", {"hours": 5}), {}, {"right now"}),
    ("last_performed", ("Product Added", "before_last", 30), {}, {"at the edge", "long ago"}),
    ("last_performed", ("Product Added", "not_exists"), {}, ALL - ADDED - {"at the edge", "long ago"}),
    ("last_performed", ("Product Added", "not_within_last", 30), {}, ALL - ADDED),
    ("first_performed", ("Product Added", "on", "2026-10-31"), {"where": [("price", ">", 100)]}, set()),
    ("first_performed", ("Product Added", "before_last", 3), {}, {"at the edge", "in the edge", "long ago", "eager", "backwards"}),
    ("performed", ("Product Added",), {}, ADDED),
    ("performed", ("Product Added",), {"all_time": True}, ADDED | {"at the edge", "long ago"}),
    ("performed", ("Product Added",), {"last_hours": 5}, {"right now"}),
    ("performed", ("Product Added",), {"last_hours": 6}, {"right now", "eager"}),
    ("performed", ("Product Added",), {"between_days": (30, 90)}, {"at the edge", "long ago"}),
    ("performed", ("Product Added",), {"since": "2026-11-01"}, {"right now", "eager", "other trip"}),
    ("performed", ("Product Added",), {"type": "page"}, {"a page"}),
    ("performed", (["Product Viewed", "Page Read"],), {}, {"buyer", "backwards", "slow"}),
    ("performed", ("Product Added",), {"where": [("price", ">", 100)], "last_days": 7}, {"right now", "eager"}),
    ("performed", ("Product Added",), {"times": (">=", 3)}, {"eager"}),
    ("performed", ("Product Added",), {"times": ("=", 1)}, ADDED - {"eager"}),
    ("performed", ("Product Added",), {"times": ("<", 3)}, ALL - {"eager"}),
    ("performed", ("Product Added",), {"times": ("=", 0)}, ALL - ADDED),
    ("property_aggregate", ("Order Completed", "total", "sum", ">=", 120.5), {"last_days": 7}, {"buyer"}),
    ("property_aggregate", ("Order Completed", "total", "sum", "<", 1000), {"all_time": True}, {"buyer", "long ago"}),
    ("property_aggregate", ("Order Completed", "total", "max", ">", 100.5), {}, set()),
    ("property_aggregate", ("Order Completed", "occurred_at", "max", "before", "2026-11-01"), {}, {"buyer", "backwards"}),
    ("property_aggregate", ("Product Added", "destination", "unique_count", ">=", 2), {}, {"eager"}),
    ("property_aggregate", ("Product Added", "destination", "count", "<=", 2), {}, ALL - {"eager"}),
    ("performed_sequence", (VIEWED_FIRST,), {}, {"buyer", "slow"}),
    ("performed_sequence", (VIEWED_FIRST,), {"strict": True}, {"buyer"}),
    ("performed_sequence", (VIEWED_FIRST,), {"within_days": 1}, {"buyer"}),
    ("performed_sequence", (VIEWED_FIRST,), {"within_hours": 23}, set()),
    ("performed_sequence", (VIEWED_FIRST,), {"within_days": 7}, {"buyer", "slow"}),
    ("performed_sequence", ([*VIEWED_FIRST, "Order Completed"],), {"within_days": 2}, {"buyer"}),
    ("performed_sequence", ([*VIEWED_FIRST, "Order Completed"],), {"within_days": 1}, set()),
    ("performed_sequence", (["Product Added"] * 3,), {}, {"eager"}),
    ("performed_sequence", (["Product Added", ("Product Added", [("price", ">", 200)])],), {"last_days": 3}, {"eager"}),
    ("performed_sequence", (["Order Completed", "Order Completed"],), {}, {"buyer"}),
    ("same_property", ("Product Added", "Order Completed", "destination"), {}, {"buyer"}),
    ("same_property", ("Product Viewed", "Product Added", "destination"), {}, {"buyer", "backwards"}),
    ("same_property", ("Product Viewed", "Product Added", "destination"), {"in_order": True}, {"buyer"}),
    ("abandoned", ("Product Added", "Order Completed"), {"waits_hours": 4}, {"eager", "backwards", "slow"}),
    # Exactly five hours have passed.
    ("abandoned", ("Product Added", "Order Completed"), {"waits_hours": 5}, {"eager", "backwards", "slow"}),
    ("abandoned", ("Product Added", "Order Completed"), {"waits_hours": 6}, {"backwards", "slow"}),
    ("abandoned", ("Product Added", "Order Completed"), {"waits_hours": 0}, {"right now", "eager", "backwards", "slow"}),
    ("abandoned", ("Product Added", "Order Completed"), {"within_days": 3}, {"eager", "slow"}),
    ("abandoned", ("Product Added", "Order Completed"), {"same": "destination"}, {"eager", "other trip", "backwards", "slow"}),
    ("abandoned", (("Product Added", [("price", ">", 250)]), "Order Completed"), {"within_days": 30}, {"eager"}),
    ("member_of", ("vips",), {}, {"buyer"}),
    ("excluding", ("vips",), {}, ALL - {"buyer"}),
    ("entered_within", ("vips",), {"days": 30}, {"buyer"}),
    ("entered_within", ("vips",), {"hours": 24}, set()),
    ("exited_within", ("vips",), {"hours": 24}, {"slow"}),
]  # fmt: skip


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_each_helper_selects_whom_it_names(engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "postgres":
        variables = request.getfixturevalue("postgres")
        with closing(connect(variables, variables["PGDATABASE"])) as connection, connection.cursor() as cursor:
            for statement in world():
                cursor.execute(statement)
            cursor.execute(question(engine))
            rows = cursor.fetchall()
    else:
        with duckdb.connect() as memory:
            for statement in world():
                memory.execute(statement)
            rows = memory.execute(question(engine)).fetchall()
    # Who is not named, `not` names: no condition is null.
    assert {person for person, *said in rows if None in said} == set()
    for place, (macro, arguments, more, expected) in enumerate(CALLS, 1):
        assert {row[0] for row in rows if row[place]} == expected, f"{macro}{arguments} {more}"


def question(engine: str) -> str:
    """Of each person, what each call says."""
    said = ", ".join(
        f"({rendered(engine, macro, *arguments, context=CONTEXT, **more)}) as call_{place}"
        for place, (macro, arguments, more, _) in enumerate(CALLS)
    )
    return f"select people.profile_id, {said} from profiles.profiles as people"


@pytest.mark.parametrize("engine", ["snowflake", "bigquery", "spark"])
def test_other_engines_take_each_of_them(engine: str) -> None:
    """As far as can be told without the engine."""
    name = "databricks" if engine == "spark" else engine
    context = {**CONTEXT, "api": SimpleNamespace(Relation=SimpleNamespace(create=lambda **_: "landing")),
               "target": SimpleNamespace(database="cdp")}  # fmt: skip
    wrong = []
    for macro, arguments, more, _ in CALLS:
        said = rendered(engine, macro, *arguments, context=context, **more)
        found = faults(f"select people.profile_id from people where {said}", name, frozenset({"COMPOSED"}))
        wrong += [(each, said) for each in found]
    assert wrong == []


# Who is in the examples of docs/audiences.md, in the world above.
EXAMPLES: dict[str, set[str]] = {
    "italians_with_a_cart": set(),
    "birthdays_this_week": {"slow"},
    "tried_once": {"long ago"},
    "never_ordered": {"eager"},
    "carts_left_behind": {"eager", "other trip", "slow"},
    "quick_deciders": {"buyer"},
    "big_spenders_of_the_quarter": {"buyer", "long ago"},
    "undecided": {"eager"},
    "booked_what_they_saw": {"buyer"},
    "just_lost": {"slow"},
    "reachable_shop_accounts": {"eager"},
    "spring_offer": {"eager"},
}


@pytest.mark.builds
def test_the_examples_of_the_docs_are_audiences(tmp_path: Path) -> None:
    """dbt compiles them, the engine runs them, and they have the members that they describe."""
    project, home = copy_of_the_project(tmp_path / "project"), tmp_path / "home"
    home.mkdir()
    page = (PROJECT / "docs/audiences.md").read_text()
    examples = dict(re.findall(r"```sql\n-- dbt_project/models/5_audiences/(\w+)\.sql\n(.*?)```", page, re.S))
    assert examples.keys() == EXAMPLES.keys()
    assert len(re.findall("```sql", page)) == len(examples)
    for name, text in examples.items():
        (project / f"dbt_project/models/5_audiences/{name}.sql").write_text(text)
    for name, text in re.findall(r"```yaml\n# dbt_project/models/5_audiences/(\w+)\.yml\n(.*?)```", page, re.S):
        (project / f"dbt_project/models/5_audiences/{name}.yml").write_text(text)
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        for statement in world():
            warehouse.execute(statement)
        warehouse.execute("update profiles.profiles set birth_date = '1984-11-07' where profile_id = 'slow'")
    done = dbt(project, home, "compile", "--no-introspect", "--select", *examples)
    assert done.returncode == 0, done.stdout[-4000:]
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        for name, members in EXAMPLES.items():
            (compiled,) = (home / "dbt/compiled").rglob(f"{name}.sql")
            assert {row[0] for row in warehouse.execute(compiled.read_text()).fetchall()} == members, name
    nodes = json.loads((home / "dbt/manifest.json").read_text())["nodes"]
    observing = {node["name"] for node in nodes.values() if "depends_on_observations" in node["tags"]}
    assert observing == {"just_lost"}
    assert "model.cdp.vips" in nodes["model.cdp.just_lost"]["depends_on"]["nodes"]


@pytest.mark.parametrize(
    ("macro", "arguments", "more", "words"),
    [
        (
            "trait",
            ("shoe_size", ">", 3),
            {},
            "trait shoe_size: profiles.profiles has no such column: declare it in vars: cat",
        ),
        ("performed", ("Product Added",), {"last_days": 0}, "a whole number of days above 0"),
        ("performed", ("Product Added",), {"last_days": 3, "all_time": True}, "there are several windows"),
        ("performed", ("Product Added",), {"between_days": (90, 30)}, "the smaller one first"),
        ("performed", ("Product Added",), {"times": 3}, "times needs a comparison, like ('>=', 3)"),
        ("performed", ("Product Added",), {"times": (">=", "3")}, "needs a number"),
        ("performed", ("Product Added",), {"times": ("exists", 3)}, "a count is always there"),
        ("performed", ("Product Added",), {"where": [("shoe", ">", 3)]}, "declare it in vars: catalogue: properties"),
        ("performed", ("",), {}, "not an empty text"),
        (
            "property_aggregate",
            ("X", "destination", "sum", ">", 3),
            {},
            "sum of a text is nothing; write one of count, unique",
        ),
        ("property_aggregate", ("X", "shoe", "sum", ">", 3), {}, "declare it in vars: catalogue: properties"),
        ("performed_sequence", (["Product Added"],), {}, "write two or more"),
        ("same_property", ("X", "X", "destination"), {}, "these are one event"),
        ("has_identifier", ("shoe",), {}, "vars: identity: identifiers"),
        ("has_device", ("windows",), {}, "write one of android, ios, or nothing for any"),
        ("last_performed", ("Product Added", ">", 3), {}, "and this is a timestamp; write one of before"),
        ("has_consent", ("gdpr", "ads", "given"), {}, "write granted, denied or missing"),
        ("entered_within", ("vips",), {"days": 0}, "a whole number of days above 0"),
        ("attribute", ("order_count", "order_count", "<", 2), {"missing": "none"}, "missing is none; write a number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(
    macro: str, arguments: tuple[Any, ...], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=r"^dbt_project/models/5_audiences/readers\.sql: ") as refused:
        rendered("duckdb", macro, *arguments, context=CONTEXT, **more)
    assert words in str(refused.value)
