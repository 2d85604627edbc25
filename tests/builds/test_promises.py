"""The one check of a model names each of its promises that is broken, and by how many rows."""

import duckdb
import pytest

from tests.support.macros import rendered

PROMISES = {
    "never_null": ["id", "kind"],
    "unique": ["id", ["kind", "place"], {"columns": ["place"], "where": "decides"}],
    "accepted_values": {"kind": ["a", "b"]},
    "relationships": {"person": {"to": "people", "field": "id"}},
    "more": {"nobody_is_at_nine": "select id from held where place = 9"},
}
GOOD = ["(1, 'a', 1, true, 'p')", "(2, 'b', 1, false, null)", "(3, 'b', 2, true, 'q')"]


def broken(*rows: str) -> dict[str, int]:
    with duckdb.connect() as connection:
        connection.execute("create table people as select unnest(['p', 'q']) as id")
        connection.execute("create table held (id integer, kind text, place integer, decides boolean, person text)")
        connection.execute(f"insert into held values {', '.join([*GOOD, *rows])}")
        return dict(connection.execute(rendered("duckdb", "broken_promises", "held", **PROMISES)).fetchall())


def test_what_holds_says_nothing() -> None:
    assert broken() == {}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("(null, 'a', 3, false, 'p')", "never_null(id)"),
        ("(4, null, 3, false, 'p')", "never_null(kind)"),
        ("(3, 'a', 3, false, 'p')", "unique(id)"),
        ("(4, 'b', 2, false, 'p')", "unique(kind, place)"),
        ("(4, 'a', 2, true, 'p')", "unique(place)"),
        ("(4, 'c', 3, false, 'p')", "accepted_values(kind)"),
        ("(4, 'a', 3, false, 'z')", "relationships(person)"),
        ("(4, 'a', 9, false, 'p')", "nobody_is_at_nine"),
    ],
)
def test_each_promise_is_named_when_it_alone_is_broken(row: str, told: str) -> None:
    assert broken(row) == {told: 1}


def test_it_counts() -> None:
    assert broken("(null, 'c', 3, false, 'z')", "(null, 'd', 4, false, null)") == {
        "never_null(id)": 2,
        "accepted_values(kind)": 2,
        "relationships(person)": 1,
    }


@pytest.mark.parametrize(
    ("members", "build", "astray"),
    [
        (["in"], None, set()),
        ([], None, {"in"}),
        (["in", "out"], None, {"out"}),
        (["in", "stranger"], None, {"stranger"}),
        (["in", "out"], "build_id = 'b1'", set()),  # that build moved nobody out
        (["in", "out"], "build_id = 'b2'", {"out"}),
        ([], "build_id = 'b1'", {"in", "out"}),
    ],
)
def test_members_are_who_entered_last(members: list[str], build: str | None, astray: set[str]) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create table changes as select 'vips' as audience, null as variant, * from (values ('in', 'entered', 'b1'), ('out', 'entered', 'b1'), "
            "('out', 'exited', 'b2')) as told(profile_id, change, build_id)"
        )
        connection.execute("create table members (audience text, profile_id text, variant text)")
        connection.executemany(
            "insert into members (audience, profile_id) values ('vips', ?)", [[one] for one in members or ["nobody"]]
        )
        connection.execute("delete from members where profile_id = 'nobody'")
        found = connection.execute(rendered("duckdb", "members_astray", "changes", "members", build)).fetchall()
    assert {profile_id for _, profile_id in found} == astray
