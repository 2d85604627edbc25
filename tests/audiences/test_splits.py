"""What audiences write down, and who is no member after all: variants, priority lists, exclusion, sizes, collisions, jumps.

The hooks of the folder, on a bare connection of each engine; tests/audiences/test_audience_rules.py has them in a build of dbt.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from tests.conftest import connect
from tests.support.dialects import faults
from tests.support.macros import rendered

FIRST = datetime(2026, 11, 1)
RELATIONS = """
create schema staging; create schema identity; create schema audiences;
create table staging.current_build (build_id text, as_of timestamp);
create table audiences.changes (audience text, profile_id text, change text, variant text, "at" timestamp, build_id text);
create table audiences.current_members (audience text, profile_id text, variant text, entered_at timestamp, build_id text);
create table audiences.sizes (audience text, members bigint, entered bigint, exited bigint, volatility double precision,
    "at" timestamp, build_id text);
create table audiences.variant_collisions (audience text, profile_id text, kept text, dropped text, "at" timestamp, build_id text);
create table identity.merges (kind text, from_profile_id text, into_profile_id text, identifier_type text, identifier_value text);
create table identity.identifiers (identifier_type text, identifier_value text, profile_id text);
"""


class Relation(str):
    @property
    def identifier(self) -> str:
        return self.split(".")[1]


class Refused(Exception):
    pass


def _refuse(message: str) -> None:
    raise Refused(message)


def context(
    engine: str, audience: str = "vips", split: bool = False, rules: dict[str, Any] | None = None
) -> dict[str, Any]:
    columns = {"profile_id": {}, **({"variant": {}} if split else {})}
    model = SimpleNamespace(
        name=audience, resource_type="model", fqn=["cdp", "5_audiences", audience], columns=columns,
        config=SimpleNamespace(materialized="table", meta={}), original_file_path=f"dbt_project/models/5_audiences/{audience}.sql",
    )  # fmt: skip
    schemas = {"current_build": "staging", "merges": "identity", "identifiers": "identity"}
    nodes = {
        f"model.cdp.{name}": SimpleNamespace(
            database="", schema=schema, alias=name, resource_type="model", fqn=["cdp", schema, name]
        )
        for name, schema in schemas.items()
    }
    return {
        "model": model,
        "this": Relation(f"audiences.{audience}"),
        "ref": lambda name: f"{schemas.get(name, 'audiences')}.{name}",
        "execute": True,
        "target": SimpleNamespace(type=engine, database=""),
        "graph": SimpleNamespace(nodes={**nodes, "own": model}),
        "api": SimpleNamespace(Relation=SimpleNamespace(create=lambda database, schema, identifier: f"{schema}.{identifier}")),
        "var": lambda name, default=None: {"audiences": rules or {}}.get(name, default),
        "exceptions": SimpleNamespace(raise_compiler_error=_refuse),
    }  # fmt: skip


class World:
    """A warehouse of which a build is: the audiences as their models select them, and the hooks of the folder."""

    def __init__(self, engine: str, execute: Callable[[str], list[tuple[Any, ...]]]) -> None:
        self.engine, self.execute, self.number = engine, execute, 0
        self.rules: dict[str, Any] = {}
        self.hooks: dict[tuple[str, bool], list[str]] = {}
        self.astray = rendered(engine, "members_astray", "audiences.changes", "audiences.current_members")
        execute(RELATIONS)

    def build(self, audiences: dict[str, Any], hours: float = 24, times: int = 1) -> None:
        """`audiences`: of each its members, or {member: variant}; in the order in which they are built."""
        self.number += 1
        as_of = FIRST + timedelta(hours=hours * self.number)
        self.execute(
            f"delete from staging.current_build; insert into staging.current_build values ('b{self.number}', '{as_of}')"
        )
        for name, members in audiences.items():
            split = isinstance(members, dict)
            rows = [f"('{each}', '{members[each]}')" if split else f"('{each}')" for each in members]
            columns = "profile_id text, variant text" if split else "profile_id text"
            self.execute(f"drop table if exists audiences.{name}; create table audiences.{name} ({columns})")
            if rows:
                self.execute(f"insert into audiences.{name} values {', '.join(rows)}")
            for hook in self._hooks(name, split) * times:
                self.execute(hook)
        assert self.execute(self.astray) == []

    def _hooks(self, name: str, split: bool) -> list[str]:
        if (name, split) not in self.hooks:
            given = context(self.engine, name, split, self.rules)
            made = [rendered(self.engine, hook, context=given).strip() for hook in ("give_way", "record_audience")]
            self.hooks[name, split] = [sql for sql in made if sql]
        return self.hooks[name, split]

    def members(self, audience: str) -> dict[str, str | None]:
        kept = dict(
            self.execute(f"select profile_id, variant from audiences.current_members where audience = '{audience}'")
        )
        assert kept.keys() == {row[0] for row in self.execute(f"select profile_id from audiences.{audience}")}
        return kept

    def merge(self, absorbed: str, survivor: str, link: str) -> None:
        self.execute(f"insert into identity.merges values ('merge', '{absorbed}', '{survivor}', 'email', '{link}')")


@pytest.fixture(params=["duckdb", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "duckdb":
        with duckdb.connect() as memory:
            yield World("duckdb", lambda sql: memory.execute(sql).fetchall())
        return
    variables = request.getfixturevalue("postgres")
    with closing(connect(variables, variables["PGDATABASE"])) as connection, connection.cursor() as cursor:

        def execute(sql: str) -> list[tuple[Any, ...]]:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

        execute(
            "set max_parallel_workers_per_gather = 0"
        )  # the database plans small tables as large ones, and these are many
        yield World("postgres", execute)
        cursor.execute("drop schema staging cascade; drop schema identity cascade; drop schema audiences cascade")


def test_entries_exits_and_sizes_are_written_down(world: World) -> None:
    world.build({"vips": {"a", "b"}})
    world.build(
        {"vips": ["b", "c", "d", "d"]}, times=2
    )  # running the hooks again adds nothing, nor does a row too many
    world.build({"vips": set()})
    changes = world.execute("select build_id, profile_id, change, variant from audiences.changes order by 1, 2, 3")
    assert changes == [
        ("b1", "a", "entered", None), ("b1", "b", "entered", None), ("b2", "a", "exited", None), ("b2", "c", "entered", None),
        ("b2", "d", "entered", None), *[("b3", who, "exited", None) for who in "bcd"],
    ]  # fmt: skip
    sizes = world.execute('select build_id, members, entered, exited, volatility, "at" from audiences.sizes order by 1')
    assert sizes == [
        ("b1", 2, 2, 0, 1.0, datetime(2026, 11, 2)),
        ("b2", 3, 2, 1, 1.0, datetime(2026, 11, 3)),
        ("b3", 0, 0, 3, None, datetime(2026, 11, 4)),
    ]


def test_who_changes_the_variant_leaves_with_the_one_and_enters_with_the_other(world: World) -> None:
    world.build({"vips": {"a": "one", "b": "one"}})
    world.build({"vips": {"a": "two", "b": "one"}})
    assert world.members("vips") == {"a": "two", "b": "one"}
    moved = world.execute("select profile_id, change, variant from audiences.changes where build_id = 'b2' order by 2")
    assert moved == [("a", "entered", "two"), ("a", "exited", "one")]
    # Nobody entered the audience, nobody left it.
    assert world.execute("select members, entered, exited from audiences.sizes where build_id = 'b2'") == [(2, 0, 0)]
    for change in ("entered", "exited"):
        within = rendered(world.engine, "changed_within", change, "vips", None, 24, "people",
                          context={**context(world.engine, "other"), "config": lambda **_: ""})  # fmt: skip
        asked = f"select profile_id from (values ('a'), ('b')) as people (profile_id) where {within}"
        assert world.execute(asked) == []


def test_an_audience_that_becomes_split_or_whole_says_so(world: World) -> None:
    world.build({"vips": {"a"}})
    world.build({"vips": {"a": "one"}})
    assert world.members("vips") == {"a": "one"}
    world.build({"vips": {"a"}})
    assert world.members("vips") == {"a": None}
    variants = world.execute("select build_id, change, variant from audiences.changes order by 1, 2")
    assert variants == [("b1", "entered", None), ("b2", "entered", "one"), ("b2", "exited", None), ("b3", "entered", None),
                        ("b3", "exited", "one")]  # fmt: skip


def test_a_merge_that_changes_a_variant_is_a_collision(world: World) -> None:
    before = {"old": "a", "young": "b", "old and alike": "a", "young and alike": "a", "middle": "b", "first": "c", "leaving": "b",
              "left too": "a", "unmerged": "b"}  # fmt: skip
    world.build({"vips": before})
    assert world.execute("select * from audiences.variant_collisions") == []
    # young -> old; first -> middle -> older, who was no member; leaving -> left too, who is none any more.
    for absorbed, survivor, link in [("young", "old", "1"), ("young and alike", "old and alike", "2"), ("first", "middle", "3"),
                                     ("middle", "older", "4"), ("leaving", "left too", "5"), ("stranger", "old", "6")]:  # fmt: skip
        world.merge(absorbed, survivor, link)
    for link, holder in zip("123456", ["old", "old and alike", "older", "older", "left too", "old"], strict=True):
        world.execute(f"insert into identity.identifiers values ('email', '{link}', '{holder}')")
    world.build({"vips": {"old": "a", "old and alike": "a", "older": "a"}}, times=2)
    found = world.execute(
        "select audience, profile_id, kept, dropped, build_id from audiences.variant_collisions order by 2, 4"
    )
    assert found == [
        ("vips", "left too", "a", "b", "b2"),
        ("vips", "old", "a", "b", "b2"),
        ("vips", "older", "a", "b", "b2"),
        ("vips", "older", "a", "c", "b2"),
    ]


def test_a_person_belongs_to_the_first_audience_of_the_list(world: World) -> None:
    world.rules = {
        "priority_lists": {"winback": ["vips", "lapsing", "all"], "other": ["readers"]},
        "excluded": ["blocked"],
    }
    everybody = {"vip", "both", "lapsing", "blocked", "other"}
    drawn = {"blocked": {"blocked", "vip who is blocked"}, "vips": {"vip", "both", "vip who is blocked"},
             "lapsing": {"both": "a", "lapsing": "b", "blocked": "a"}, "all": everybody, "readers": everybody}  # fmt: skip
    world.build(drawn)
    assert {name: set(world.members(name)) for name in drawn} == {
        "blocked": {"blocked", "vip who is blocked"}, "vips": {"vip", "both"}, "lapsing": {"lapsing"}, "all": {"other"},
        "readers": everybody - {"blocked"},
    }  # fmt: skip
    # Who falls out of the first drops to the next.
    world.build({**drawn, "vips": {"vip"}, "blocked": set()})
    assert {name: set(world.members(name)) for name in drawn} == {
        "blocked": set(), "vips": {"vip"}, "lapsing": {"both", "lapsing", "blocked"}, "all": {"other"}, "readers": everybody,
    }  # fmt: skip


def test_a_list_needs_tables() -> None:
    view = context("duckdb", "lapsing", rules={"priority_lists": {"winback": ["vips", "lapsing"]}})
    view["model"].config.materialized = "view"
    with pytest.raises(Refused, match=r"5_audiences/lapsing\.sql: materialized: it is view, and must be a table"):
        rendered("duckdb", "give_way", context=view)


def jumps(world: World, own: float | None = 50, **rules: Any) -> list[tuple[Any, ...]]:
    given = context(world.engine, "tight", rules=rules)
    given["model"].config.meta = {"audience": {"jump_percent": own}}
    asked = rendered(world.engine, "audience_jumps", "audiences.sizes", context=given)
    return world.execute(f"select audience, members_before, members_now from ({asked}) as jumps order by 1")


def test_an_audience_that_jumps_within_a_day_is_told(world: World) -> None:
    def sized(count: int) -> set[str]:
        return {f"p{number}" for number in range(count)}

    world.build({"vips": sized(100), "tight": sized(100), "small": sized(40), "empty": set()}, hours=8)
    assert jumps(world) == []  # nothing to compare with
    world.build({"vips": sized(150), "tight": sized(110), "small": sized(5), "empty": sized(100)}, hours=8)
    assert jumps(world) == [("empty", 0, 100)]  # 50 % is not more than 50 %, and small ones move
    assert jumps(world, own=9) == [("empty", 0, 100), ("tight", 100, 110)]
    assert jumps(world, jump_from_members=20) == [("empty", 0, 100), ("small", 40, 5)]
    world.build({"vips": sized(49), "tight": sized(49), "small": sized(5), "empty": sized(100)}, hours=8)
    assert jumps(world) == [("empty", 0, 100), ("tight", 100, 49), ("vips", 100, 49)]
    assert jumps(world, own=None, jump_percent=None) == []
    # A day after the first build, the second one (16 h) is not looked at: the last at or before 24 h ago is the first (8 h).
    world.build({"vips": sized(100), "tight": sized(49), "small": sized(5), "empty": set()}, hours=8)
    assert jumps(world) == [("tight", 100, 49)]


def place(salt: str, person: str) -> int:
    """Its definition, once more."""
    return (int.from_bytes(hashlib.md5(f"{salt}|{person}".encode()).digest()[:8], "little") >> 1) % 10_000


PEOPLE = [f"person {number}" for number in range(4000)]


def variants(world: World, shares: dict[str, Any], salt: str | None = None) -> dict[str, str]:
    given = rendered(
        world.engine, "variant_of", shares, salt, "people", context=context(world.engine, "offer", split=True)
    )
    asked = f"select people.profile_id, {given} as variant from people"
    return dict(world.execute(asked))


def test_variants_are_dealt_by_salt_and_person(world: World) -> None:
    if world.engine == "postgres":
        world.execute("create schema if not exists landing; " + rendered("postgres", "postgres_functions"))
    world.execute("drop table if exists people; create table people (profile_id text)")
    listed = ", ".join(f"('{person}')" for person in PEOPLE)
    world.execute(f"insert into people values {listed}")
    shares = {"a": 44.99, "it's b": "rest", "holdout": 10.01}
    dealt = variants(world, shares)
    borders = {"a": range(4499), "it's b": range(4499, 8999), "holdout": range(8999, 10_000)}
    assert dealt == {
        person: next(name for name, places in borders.items() if place("offer", person) in places) for person in PEOPLE
    }
    # 4,000 people: three standard deviations are 2.4 % of them.
    counted = [sum(variant == name for variant in dealt.values()) / len(PEOPLE) for name in shares]
    assert counted == pytest.approx([0.4499, 0.45, 0.1001], abs=0.024)
    # Another salt deals anew, of the holdout a tenth is held out again; its own name is the salt that is not given.
    other = variants(world, shares, "autumn")
    assert variants(world, shares, "offer") == dealt
    again = [person for person in PEOPLE if dealt[person] == other[person] == "holdout"]
    assert len(again) < 0.03 * len(PEOPLE)
    # A border that moves takes along whom it passes, and nobody else.
    moved = variants(world, {"a": 55, "it's b": 34.99, "holdout": 10.01})
    changed = {(dealt[person], moved[person]) for person in PEOPLE if dealt[person] != moved[person]}
    assert changed == {("it's b", "a")}
    assert sum(dealt[person] != moved[person] for person in PEOPLE) / len(PEOPLE) == pytest.approx(0.1001, abs=0.015)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"a": 45, "b": 45}, "adds up to 90 %: make it 100, or write 'rest' for one of the variants"),
        ({"a": 60, "b": 60}, "adds up to 120 %"),
        ({"a": 33.33, "b": 33.33, "c": 33.33}, "adds up to 99.99 %"),
        ({"a": 100}, "write two variants or more"),
        (["a", "b"], "write two variants or more"),
        ({"a": 33.333, "b": "rest"}, "variant_of: a: 33.333 has more than two decimals: write 33.33"),
        ({"a": 0, "b": 100}, "variant_of: a: 0 is no percentage above 0"),
        ({"a": -10, "b": 110}, "-10 is no percentage above 0"),
        ({"a": "half", "b": 50}, "half is no percentage above 0"),
        ({"a": True, "b": 99}, "True is no percentage above 0"),
        ({"a": "rest", "b": "rest"}, "a and b are both 'rest'"),
        ({"a": 100, "b": "rest"}, "leaves nothing for b"),
        ({1: 50, "b": 50}, "a variant has a name"),
    ],
)
def test_shares_that_make_no_sense_are_refused_with_the_remedy(shares: Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        rendered("duckdb", "variant_of", shares, context=context("duckdb", "offer", split=True))
    assert str(refused.value).startswith("dbt_project/models/5_audiences/offer.sql: variant_of")
    assert words in str(refused.value)


def test_a_split_needs_its_column_in_the_twin() -> None:
    with pytest.raises(
        Refused, match=r"5_audiences/offer\.sql: variant_of: the twin does not declare its column: add `- name: var"
    ):
        rendered("duckdb", "variant_of", {"a": 50, "b": 50}, context=context("duckdb", "offer"))


@pytest.mark.parametrize("engine", ["snowflake", "bigquery", "databricks"])
def test_other_engines_take_what_audiences_write(engine: str) -> None:
    """As far as can be told without the engine: a statement at a time, and current_members is a view there."""
    sent: list[str] = []
    rules = {"priority_lists": {"winback": ["top", "vips"]}, "excluded": ["blocked"]}
    given = context(engine, split=True, rules=rules) | {
        "statement": lambda *_, caller, **__: sent.append(caller()) or ""
    }
    spoken = "spark" if engine == "databricks" else engine
    # Spark over Parquet, whose rows stay, has its own words for lists.
    hooks = [rendered(engine, "give_way", context=given), rendered(spoken, "record_audience", context=given)]
    jumps = rendered(spoken, "audience_jumps", "audiences.sizes", context=given)
    dealt = rendered(spoken, "variant_of", {"a": 50, "b": 50}, context=given)
    found = {sql: faults(sql, engine) for sql in [*hooks, *sent, jumps, f"select {dealt} as variant from people"]}
    assert {sql: wrong for sql, wrong in found.items() if wrong} == {}
    written = [sql.split("(")[0].split()[-1] for sql in [*sent, hooks[1]]]
    assert written == ["audiences.changes", "audiences.variant_collisions", "audiences.sizes"]


def test_spark_over_parquet_says_what_to_write_instead_of_a_list() -> None:
    given = context("spark", rules={"priority_lists": {"winback": ["top", "vips"]}})
    with pytest.raises(
        Refused, match=r"5_audiences/vips\.sql: vars: audiences: on Spark .* write `excluding\('top'\)` into"
    ):
        rendered("spark", "give_way", context=given)
