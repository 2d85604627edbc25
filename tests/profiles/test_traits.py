"""Which write of a trait counts, now and at each past moment, held against a slow reference; and which declarations are
refused."""

import json
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_orchestration.queries.answers import Rows
from cdp_orchestration.queries.catalogue import catalogue
from tests.conftest import connect
from tests.profiles.test_catalogue import IDENTITY, MEANT, TYPES, WRONG
from tests.support.harness import PROJECT
from tests.support.macros import rendered

AS_OF = datetime(2026, 10, 20)
SOURCES = {
    "crm": {"tier": "feed"},
    "file": {"tier": "csv"},
    "ads": {"tier": "partner_feed"},
    "coupons": {"tier": "partner_feed"},
}
TIERS = {"crm": 3, "web": 4, "file": 5, "ads": 6, "coupons": 6}
TRAITS: dict[str, dict[str, Any]] = {
    "latest": {"type": "text"},
    "fresh": {"type": "text", "ttl_days": 3},
    "oldest": {"type": "text", "merge": "oldest"},
    "smallest": {"type": "number", "merge": "min"},
    "largest": {"type": "integer", "merge": "max", "ttl_days": 4},
    "last_day": {"type": "date", "merge": "max"},
    "spent": {"type": "money", "merge": "sum"},
    "visits": {"type": "text", "merge": "count"},
    "tags": {"type": "text", "merge": "union", "capacity": 2},
    "lists": {"type": "list", "merge": "union", "ttl_days": 5},
    "answers": {"type": "map", "merge": "union", "capacity": 2},
}
UNDECLARED = "nowhere_declared"


class Refused(Exception):
    pass


def macro(
    engine: str, name: str, *arguments: Any, traits: dict[str, Any], sources: dict[str, Any] | None = None, **named: Any
) -> Any:
    """A macro of the project where the catalogue has these traits."""

    def refuse(text: str) -> None:
        raise Refused(text)

    variables = {
        "catalogue": {"traits": traits},
        "sources": sources or {},
        "identity": IDENTITY,
    }
    return rendered(
        engine, name, *arguments,
        context={"var": lambda name, *_: variables[name], "ref": lambda name: name, "exceptions": {"raise_compiler_error": refuse}},
        **named,
    )  # fmt: skip


# ---- The reference: every write in order, a person's trait at a time. ----

Write = dict[str, Any]


def in_force(writes: list[Write], tiers: dict[str, int]) -> list[Write]:
    """Of writes in order, those of the owner, after the last that removes."""
    first = next((each["source"] for each in writes if tiers.get(each["source"]) == 6 and each["value"] is not None), None)  # fmt: skip
    owned = [each for each in writes if tiers.get(each["source"], 4) < 6 or each["source"] == first]
    best = min((tiers.get(each["source"], 4) for each in owned), default=0)
    owned = [each for each in owned if tiers.get(each["source"], 4) == best]
    for place, each in reversed(list(enumerate(owned))):
        if each["value"] is None:
            return owned[place + 1 :]
    return owned


def winner(trait: str, writes: list[Write], tiers: dict[str, int], at: datetime, clock: datetime) -> Any:
    """(value as Python, message_id) of a trait at a moment; None where there is none."""
    entry = TRAITS.get(trait, {})
    ttl = entry.get("ttl_days")
    alive = [
        each for each in writes if each["at"] <= at and (not ttl or each["at"] > min(at, clock) - timedelta(days=ttl))
    ]
    kept = in_force(alive, tiers)
    if not kept:
        return None
    rule, last = entry.get("merge", "latest"), kept[-1]
    if rule == "latest":
        return last["value"], last["id"]
    if rule == "oldest":
        return kept[0]["value"], kept[0]["id"]
    if rule in ("min", "max"):
        chosen = (min if rule == "min" else max)(kept, key=lambda each: each["value"])  # of equal ones the first
        return chosen["value"], chosen["id"]
    if rule == "sum":
        return round(sum(each["value"] for each in kept), 6), last["id"]
    if rule == "count":
        return len(kept), last["id"]
    said: dict[str, Any] = {}  # item: in the order in which they were said last
    for each in kept:
        items = each["value"].items() if entry["type"] == "map" else [
            (item, item) for item in (each["value"] if entry["type"] == "list" else [each["value"]])]  # fmt: skip
        for place, (key, value) in enumerate(dict(items).items()):
            said[key] = (each["at"], each["arrival"], -place if entry["type"] == "list" else 0, value)
    held = {key: of for key, of in said.items() if of[3] is not None}
    room = entry.get("capacity") or len(held)
    order = sorted(held, key=lambda key: json.dumps(key))
    order.sort(key=lambda key: held[key][:3], reverse=True)
    staying = sorted(order[:room], key=lambda key: json.dumps(key))
    if entry["type"] == "map":
        return {key: held[key][3] for key in staying}, last["id"]
    return staying, last["id"]


# ---- Worlds. ----

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(["a", "b", "c", "d"]),
    "number": st.sampled_from([-2.5, 0, 1, 10, 9]),
    "integer": st.sampled_from([-3, 2, 10, 9]),
    "money": st.sampled_from([0.1, 0.2, 5, -1.25]),
    "date": st.sampled_from(["2026-01-02 00:00:00", "2025-12-31 00:00:00"]),
    "list": st.lists(st.sampled_from(["x", "y", "z"]), max_size=3),
    "map": st.dictionaries(st.sampled_from(["k", "l", "m"]), st.sampled_from([1, "1", None]), max_size=3),
}


@st.composite
def worlds(draw: st.DrawFn) -> list[Write]:
    writes = []
    for arrival in range(draw(st.integers(1, 60))):
        trait = draw(st.sampled_from([*TRAITS, UNDECLARED]))
        kind = TRAITS.get(trait, {"type": "text"})["type"]
        writes.append(
            {
                "profile": draw(st.sampled_from(["p", "q", "r"])),
                "trait": trait,
                "value": draw(st.one_of(st.none(), *[VALUES[kind]] * 4)),
                "source": draw(st.sampled_from([*TIERS])),
                "at": datetime(2026, 10, 10) + timedelta(hours=12 * draw(st.integers(0, 22))),
                "arrival": arrival,
                "id": f"m{arrival}",
            }
        )
    return writes


def as_rows(writes: list[Write]) -> list[tuple[Any, ...]]:
    rows = []
    for each in writes:
        value = each["value"]
        text = None if value is None else json.dumps(value, separators=(",", ":"))
        typed = value if isinstance(value, str) else text
        if each["trait"] == UNDECLARED:
            typed = None
        rows.append((each["profile"], each["trait"], text, typed, each["source"], each["at"], each["arrival"], each["id"]))  # fmt: skip
    return rows


def expected(writes: list[Write], tiers: dict[str, int], at: datetime) -> dict[tuple[str, str], Any]:
    ordered = sorted(writes, key=lambda each: (each["at"], each["arrival"]))
    found = {}
    for profile in ("p", "q", "r"):
        for trait in [*TRAITS, UNDECLARED]:
            of_it = [each for each in ordered if (each["profile"], each["trait"]) == (profile, trait)]
            won = winner(trait, of_it, tiers, at, AS_OF)
            if won is not None:
                found[profile, trait] = won
    return found


def read(trait: str, value: str) -> Any:
    """A value of the warehouse as the reference has it."""
    held = json.loads(value)
    return round(held, 6) if TRAITS.get(trait, {}).get("merge") == "sum" else held


class World:
    """The SQL of one engine over a table `writes`, which execute() fills."""

    def __init__(self, engine: str, sources: dict[str, Any]) -> None:
        keys = ["profile_id", "trait"]
        text = {"traits": TRAITS, "sources": sources}
        in_force_sql = macro(engine, "writes_in_force", "alive", keys, **text)
        self.columns = "profile_id, trait, value, typed_value, source, occurred_at, message_id, won_by"
        self.types = (
            "profile_id text, trait text, value text, typed_value text, source text, occurred_at timestamp, "
            "arrival bigint, message_id text"
        )
        self.now = (
            "with writes as (select * from told where occurred_at <= moment), alive as (select * from writes where "
            + macro(engine, "still_counts", "trait", "occurred_at", "moment", **text)
            + f"), in_force as ({in_force_sql}) select {self.columns} from ("
            + macro(engine, "won_traits", "in_force", keys, **text)
            + ") as won"
        ).replace("moment", "(select moment_at from clock)")
        self.clock = "(select current_build.as_of from current_build as current_build)"
        self.history = self._history(engine, text)

    def _history(self, engine: str, text: dict[str, Any]) -> str:
        model = (PROJECT / "dbt_project/models/3_profiles/trait_history.sql").read_text()
        model = model[model.index("with writes") :]
        states = macro(engine, "trait_states", "writes", **text)
        return model.replace("{{ personal_writes() }}", "select * from told").replace(
            "{{ trait_states('writes') }}", states
        )


def judge(execute: Any, world: World, writes: list[Write], tiers: dict[str, int]) -> None:
    """What the engine says now and then is what the reference says."""
    asked = {AS_OF, AS_OF - timedelta(days=4)}
    moments = sorted({each["at"] for each in writes} | asked)
    history = execute(f"select profile_id, trait, value, valid_from, valid_to from ({world.history}) as history")
    for at in moments:
        meant = expected(writes, tiers, at)
        then = {(p, t): read(t, value) for p, t, value, start, end in history if start <= at and (not end or at < end)}
        assert then == {key: value for key, (value, _) in meant.items()}, f"history at {at}"
        if at not in asked:
            continue
        execute(f"update clock set moment_at = timestamp '{at}'", False)
        rows = execute(world.now)
        assert {(row[0], row[1]): (read(row[1], row[2]), row[6]) for row in rows} == meant, at
    for profile, trait, value, start, end in history:
        follow = [v for p, t, v, s, _ in history if (p, t, s) == (profile, trait, end)]
        assert end is None or (start < end and value not in follow), "stays of one value are one, and none is empty"


@pytest.mark.parametrize("tiered", [False, True])
def test_duckdb_agrees_with_the_reference_now_and_then(tiered: bool) -> None:
    world = World("duckdb", SOURCES if tiered else {})
    with duckdb.connect() as connection:

        def execute(sql: str, returns: bool = True) -> Any:
            return connection.execute(sql).fetchall() if returns else connection.execute(sql)

        connection.execute(f"create table told ({world.types})")
        connection.execute("create table clock as select timestamp '2026-10-20' as moment_at")
        connection.execute("create table current_build as select timestamp '2026-10-20' as as_of")

        @settings(max_examples=12, deadline=None)
        @given(worlds())
        def agrees(writes: list[Write]) -> None:
            connection.execute("delete from told")
            connection.executemany("insert into told values (?, ?, ?, ?, ?, ?, ?, ?)", as_rows(writes))
            judge(execute, world, writes, TIERS if tiered else {})

        agrees()


def test_postgres_agrees_with_the_reference_now_and_then(postgres: dict[str, str]) -> None:
    world = World("postgres", SOURCES)
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        cursor.execute(f"create table told ({world.types})")
        cursor.execute("create table clock as select timestamp '2026-10-20' as moment_at")
        cursor.execute("create table current_build as select timestamp '2026-10-20' as as_of")

        def execute(sql: str, returns: bool = True) -> Any:
            cursor.execute(sql)
            return cursor.fetchall() if returns else None

        @settings(max_examples=4, deadline=None)
        @given(worlds())
        def agrees(writes: list[Write]) -> None:
            cursor.execute("truncate told")
            cursor.executemany("insert into told values (%s, %s, %s, %s, %s, %s, %s, %s)", as_rows(writes))
            judge(execute, world, writes, TIERS)

        agrees()


# ---- What each type reads. ----


def typed_sql(engine: str, name: str) -> str:
    """Each value of the table `said` (place, trait, value) as the trait `name`, which is of the type of that name."""
    traits = {name: {"type": name}}
    named = f"(select place, trait, value, {macro(engine, 'said_text', 'value', traits=traits)} as said from said)"
    timed = macro(engine, "with_times", named, {"moment": "said"}, traits=traits)
    typed = macro(engine, "typed_trait", "trait", "value", "said", "moment", traits=traits)
    removes = macro(engine, "removes_trait", "trait", "value", "said", traits=traits)
    column = macro(engine, "trait_column", "typed_value", name, traits=traits)
    return (
        f"select place, {column} as held, removes, said is not null as says from (select place, said, {removes} as removes, "
        f"{typed} as typed_value from ({timed}) as timed where trait = '{name}') as typed order by place"
    )


def values_sql() -> str:
    rows = []
    for place, (value, _) in enumerate(MEANT):
        text = json.dumps(value, separators=(",", ":")).replace("'", "''")
        rows += [f"({place}, '{name}', '{text}')" for name in TYPES]
    return f"create table said as select * from (values {', '.join(rows)}) as said (place, trait, value)"


def check_types(query: Any, engine: str) -> None:
    checked = 0
    for name in TYPES:
        for (value, meant), (_, held, removes, _) in zip(MEANT, query(typed_sql(engine, name)), strict=True):
            assert removes == (value is None or (name == "tag" and value == "False")), f"{value!r} as {name}"
            if name in meant and not removes:
                checked += 1
                wanted = True if name == "tag" else meant[name]
                assert held == (None if wanted is WRONG else wanted), f"{value!r} as {name}"
    assert checked > 60


def test_duckdb_reads_a_trait_of_each_type() -> None:
    with duckdb.connect() as connection:
        connection.execute(values_sql())
        check_types(lambda sql: connection.execute(sql).fetchall(), "duckdb")


def test_postgres_reads_a_trait_of_each_type(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        cursor.execute(values_sql())

        def query(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchall()

        check_types(query, "postgres")


@pytest.mark.parametrize(
    ("traits", "told"),
    [
        ({"age": "years"}, r"age is years; write a type \(text, email"),
        ({"age": {"type": "number", "form": ["x"]}}, "age is"),
        ({"age": {"type": "number", "from": "x"}}, "age is"),
        ({"age": None}, "age is None"),
        ({"age": {"type": "number", "pii": "secret"}}, "has pii secret; write none, pii or special"),
        ({"shoe size": "number"}, "is no name of a column.*from"),
        ({"is_known": "text"}, r"is a column of profiles.profiles already.*from: \[is_known\]"),
        ({"Age": "number", "age": "number"}, "is there twice"),
        ({"age": {"type": "number", "merge": "newest"}}, "has merge newest; write one of latest, oldest"),
        ({"name": {"type": "text", "merge": "sum"}}, "type text, which has no sum; that is for number, money, integer"),
        ({"name": {"type": "text", "capacity": 5}}, "capacity 5; write a whole number from 1, beside merge: union"),
        ({"name": {"type": "list", "merge": "union", "capacity": 0}}, "capacity 0"),
        ({"name": {"type": "text", "ttl_days": 1.5}}, "ttl_days 1.5; write a whole number of days"),
        ({"a": "text", "b": {"type": "text", "from": ["a"]}}, "b reads 'a', which a reads already"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_by_name(traits: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=rf"(?s)dbt_project.yml: vars.catalogue.traits: .*{told}"):
        macro("duckdb", "catalogue_traits", traits=traits)


def test_older_names_of_types_are_accepted_and_what_is_shown_has_its_own_type() -> None:
    traits = {
        "visits": "bigint",
        "score": {"type": "double", "from": ["points"]},
        "seen": {"type": "text", "merge": "count"},
        "plans": {"type": "text", "merge": "union"},
    }
    held = macro("duckdb", "catalogue_traits", traits=traits)
    assert {name: trait["column_type"] for name, trait in held.items()} == {
        "visits": "integer", "score": "number", "seen": "integer", "plans": "list"
    }  # fmt: skip
    assert held["score"]["from"] == ["score", "points"]


@pytest.mark.parametrize("moment", ["yesterday", "2026-9-1", "2026-09-01'; drop table x", 20260901])
def test_a_moment_that_is_none_is_refused(moment: Any) -> None:
    with pytest.raises(Refused, match=r"traits_as_of: the time is .*'2026-09-01 12:30:00'"):
        macro("duckdb", "traits_as_of", moment, traits={})


def test_the_catalogue_is_shown_with_its_rules() -> None:
    variables = {
        "catalogue": {
            "traits": {
                "age": "bigint",
                "tags": {"type": "list", "merge": "union", "capacity": 5, "ttl_days": 30, "pii": "special"},
            },
            "properties": {"price": {"type": "money", "from": ["value"], "description": "Of one\n trip"}},
        }
    }
    traits, properties = catalogue(variables)
    assert isinstance(traits, Rows)
    assert isinstance(properties, Rows)
    assert list(traits.rows) == [
        ("age", "integer", "none", "latest", "for ever", "", ""),
        ("tags", "list", "special", "union of 5", "30 days", "", ""),
    ]
    assert list(properties.rows) == [("price", "money", "none", "value", "Of one trip")]


# ---- As it was. ----

PEOPLE = [
    "create table set_owners as select 'A' as identifiers, 'p' as profile_id union all select 'B', 'q'",
    "create table trait_writes as select * from (values "
    "('m1', 1, 'A', 'web', timestamp '2026-10-01', 'city', '\"Rome\"', 'Rome', false), "
    "('m2', 2, 'A', 'web', timestamp '2026-10-05', 'city', '\"Bari\"', 'Bari', false), "
    "('m3', 3, 'B', 'web', timestamp '2026-10-05', 'city', '\"Ulm\"', 'Ulm', false), "
    "('m4', 4, 'A', 'web', timestamp '2026-10-02', 'city', '7', null, true), "
    "('m5', 5, 'A', 'web', timestamp '2026-10-01', 'mood', '\"ok\"', 'ok', false)) as writes "
    "(message_id, arrival, owner_key, source, occurred_at, trait, value, typed_value, is_wrong_type)",
    "create table messages as select * from (values "
    "('c1', 1, 'A', timestamp '2026-10-01', '[{\"regulation\":\"gdpr\",\"purpose\":\"ads\",\"state\":\"granted\"}]'), "
    "('c2', 2, 'A', timestamp '2026-10-04', '[{\"regulation\":\"gdpr\",\"purpose\":\"ads\",\"state\":\"denied\"}]')) as said "
    "(message_id, arrival, identifiers, occurred_at, consent)",
    "create table events as select * from (values "
    "('p', timestamp '2026-10-01'), ('p', timestamp '2026-10-05'), ('q', timestamp '2026-10-05')) as seen (profile_id, occurred_at)",
    "create table identifiers as select * from (values "
    "('p', 'email', timestamp '2026-10-03'), ('q', 'anonymous_id', timestamp '2026-10-05')) as held "
    "(profile_id, identifier_type, first_seen_at)",
]  # fmt: skip


def as_it_was(query: Any, engine: str) -> None:
    traits = {"city": "text", "mood": {"type": "text", "ttl_days": 2}}

    def of(name: str, moment: str, columns: str) -> list[tuple[Any, ...]]:
        return sorted(query(f"select {columns} from {macro(engine, name, moment, traits=traits)} as then_known"))

    assert of("traits_as_of", "2026-10-02", "profile_id, trait, typed_value, message_id, won_by") == [
        ("p", "city", "Rome", "m1", "only"), ("p", "mood", "ok", "m5", "only")
    ]  # fmt: skip
    assert of("traits_as_of", "2026-10-05", "profile_id, trait, typed_value, message_id") == [
        ("p", "city", "Bari", "m2"), ("q", "city", "Ulm", "m3")
    ]  # fmt: skip
    assert of("consents_as_of", "2026-10-03", "profile_id, purpose, state") == [("p", "ads", "granted")]
    assert of("consents_as_of", "2026-10-04 00:00:00", "state, message_id") == [("denied", "c2")]
    whole = "profile_id, first_seen_at, last_seen_at, is_known, city, mood"
    first, later = datetime(2026, 10, 1), datetime(2026, 10, 5)
    assert of("profile_as_of", "2026-10-02", whole) == [("p", first, first, False, "Rome", "ok")]
    assert of("profile_as_of", "2026-10-05T00:00:00", whole) == [
        ("p", first, later, True, "Bari", None), ("q", later, later, False, "Ulm", None)
    ]  # fmt: skip


def test_duckdb_tells_people_as_they_were() -> None:
    with duckdb.connect() as connection:
        for statement in PEOPLE:
            connection.execute(statement)
        as_it_was(lambda sql: connection.execute(sql).fetchall(), "duckdb")


def test_postgres_tells_people_as_they_were(postgres: dict[str, str]) -> None:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists landing")
        cursor.execute(str(rendered("postgres", "postgres_functions")))
        for statement in PEOPLE:
            cursor.execute(statement)

        def query(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchall()

        as_it_was(query, "postgres")
