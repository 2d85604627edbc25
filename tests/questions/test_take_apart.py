"""SQL taken apart, without dbt: the tree says what the query says, for everybody, and it reads as it was written."""

from collections.abc import Iterator

import duckdb
import pytest

from cdp_orchestration.conditions.asking import Unexplained
from cdp_orchestration.conditions.readable import text_of
from cdp_orchestration.conditions.take_apart import explain, parsed
from cdp_orchestration.conditions.tree import Condition, joined, reasons
from cdp_orchestration.queries.why_member import because, lines
from cdp_orchestration.warehouse.duckdb import DuckDBReading

PEOPLE = ["ann", "bob", "cid", "dee", "eve", "fay"]
WORLD = """
    create schema staging; create schema attributes; create schema profiles;
    create table staging.current_build as
        select 'b1' as build_id, timestamp '2026-11-01' as as_of, 1 as through_batch_seq;
    create table profiles.profiles (profile_id text, email text, country text, "Loyalty Tier" text);
    insert into profiles.profiles values ('ann', 'ann@x.example', 'pt', 'gold'), ('bob', null, 'pt', null),
        ('cid', 'cid@x.example', null, 'silver'), ('dee', 'dee@what?.example', 'es', '50% off'), ('eve', 'eve@x.example', 'fr', 'gold');
    create table attributes.lifetime_value (profile_id text, lifetime_value_usd numeric, last_order_at timestamp);
    insert into attributes.lifetime_value values ('ann', 2500, '2026-10-30'), ('bob', 700, '2026-07-01'),
        ('cid', 2000, null), ('fay', null, '2026-09-02');
    create table profiles.events (profile_id text, event_name text, amount integer, occurred_at timestamp);
    insert into profiles.events values ('ann', 'view', 1, '2026-10-01'), ('ann', 'cart', 5, '2026-10-31'), ('ann', 'cart', 7, '2026-08-01'),
        ('bob', 'cart', 3, '2026-10-02'), ('bob', 'view', null, '2026-10-30'), ('dee', 'view', 9, '2026-10-31'),
        ('eve', 'cart', null, '2026-10-29'), (null, 'cart', 100, '2026-10-31');
"""
AS_OF = "(select current_build.as_of from staging.current_build as current_build)"
VALUE = "attributes.lifetime_value"
QUERIES = {
    "and": f"select profile_id from {VALUE} where lifetime_value_usd >= 500 and last_order_at <= {AS_OF} - interval 60 day",
    "or and not": f"select profile_id from {VALUE} where not (lifetime_value_usd > 2000 or last_order_at is null) or (lifetime_value_usd = 2000)",
    "not not": "select profile_id from profiles.profiles where not (not (country = 'pt')) or not (not (country = 'es' and email is null))",
    "null leaf": "select profile_id from profiles.profiles where country <> 'pt'",
    "in": "select profile_id from profiles.profiles where country in ('pt', 'es') and profile_id not in ('bob')",
    "not in with null": "select profile_id from profiles.profiles where country not in ('pt', null)",
    "in a query": f"select profile_id from profiles.profiles where profile_id not in (select profile_id from {VALUE} where lifetime_value_usd > 600)",
    "exists": f"select p.profile_id from profiles.profiles as p where exists (select 1 from {VALUE} as v where v.profile_id = p.profile_id) or p.country = 'fr'",
    "between": f"select profile_id from {VALUE} where lifetime_value_usd between 700 and 2000 and last_order_at not between timestamp '2026-01-01' and timestamp '2026-02-01'",
    "quoted": """select "profile_id" from "profiles"."profiles" as "P" where "P"."Loyalty Tier" = 'gold' or "Loyalty Tier" like '50%\\%%' or "email" like '%?%'""",
    "columns of the schema": "select profiles.profiles.profile_id from profiles.profiles where profiles.profiles.country = 'pt'",
    "like, lower, coalesce": "select profile_id from profiles.profiles where lower(email) like 'a%' or coalesce(country, 'none') = 'none'",
    "case and booleans": "select profile_id from profiles.profiles where case when country = 'pt' then email is null else true end and (email is null) = false or false",
    "inner join": f"""select people.profile_id from profiles.profiles as people inner join {VALUE} as value
        on value.profile_id = people.profile_id and value.lifetime_value_usd > 600 where people.email is not null""",
    "id of the joined": f"select v.profile_id from profiles.profiles as p join {VALUE} as v on v.profile_id = p.profile_id where v.lifetime_value_usd > 1000 or p.country = 'pt'",
    "using": f"select profile_id from profiles.profiles join {VALUE} using (profile_id) left join profiles.events using (profile_id) where country = 'pt'",
    "comma": f"select p.profile_id from profiles.profiles p, {VALUE} v where p.profile_id = v.profile_id and v.lifetime_value_usd >= 2000",
    "cross join": "select e.profile_id from profiles.events as e cross join staging.current_build as c where e.occurred_at > c.as_of - interval 3 day",
    "left join is null": f"""select p.profile_id from profiles.profiles as p left join {VALUE} as v
        on v.profile_id = p.profile_id and v.last_order_at >= timestamp '2026-09-01' where v.profile_id is null""",
    "id of the left join": f"select v.profile_id from profiles.profiles as p left join {VALUE} as v on v.profile_id = p.profile_id where p.email is not null",
    "full join": f"select coalesce(p.profile_id, v.profile_id) as profile_id from profiles.profiles p full join {VALUE} v on v.profile_id = p.profile_id where p.country is null or v.lifetime_value_usd > 1",
    "anti join": f"select p.profile_id from profiles.profiles p anti join {VALUE} v on v.profile_id = p.profile_id where p.country = 'es' or p.country = 'fr'",
    "right join": f"select v.profile_id from profiles.profiles p right join {VALUE} v on v.profile_id = p.profile_id where p.profile_id is null",
    "many rows": "select distinct profile_id from profiles.events where event_name = 'cart' and occurred_at > timestamp '2026-10-15' and amount > 1",
    "self join": "select a.profile_id from profiles.events a join profiles.events b on a.profile_id = b.profile_id and a.event_name = 'cart' and b.event_name = 'view'",
    "subquery": "select carts.profile_id from (select * from profiles.events where event_name = 'cart') as carts where carts.amount > 2",
    "cte": f"""with added as (select profile_id, max(occurred_at) as added_at from profiles.events where event_name = 'cart' group by profile_id)
        select added.profile_id from added left join {VALUE} as ordered on ordered.profile_id = added.profile_id
        and ordered.last_order_at >= added.added_at where ordered.profile_id is null""",
    "select from the last": f"""with value as (select * from {VALUE}), good as (select profile_id, lifetime_value_usd as usd from value where lifetime_value_usd > 600),
        members as (select profile_id from good where usd < 2400) select * from members""",
    "star of a join": f"select p.* from {VALUE} v join profiles.profiles p on p.profile_id = v.profile_id where v.lifetime_value_usd > 0",
    "having": "select profile_id from profiles.events where event_name <> 'none' group by profile_id having count(*) >= 2 and sum(amount) > 4",
    "having an alias": "select profile_id, count(*) as n from profiles.events where amount > 0 group by 1 having n > 1 or max(occurred_at) > timestamp '2026-10-30'",
    "group by all": "select profile_id, event_name, count(*) as n from profiles.events group by all having count(*) > 1",
    "group by two": "select e.profile_id from profiles.events as e join profiles.profiles as p on p.profile_id = e.profile_id group by e.profile_id, e.event_name having count(*) = 1 and e.event_name = 'cart'",
    "no where": f"select profile_id from {VALUE}",
    "union": f"select profile_id from {VALUE} where lifetime_value_usd > 2000 union all select e.profile_id from profiles.events e where e.amount = 9 union select 'fay'::text as id from {VALUE} where lifetime_value_usd = 700",
    "except": f"select profile_id from profiles.profiles where email is not null except select v.profile_id from {VALUE} as v where v.lifetime_value_usd >= 2000",
    "intersect and brackets": f"(select profile_id from profiles.profiles) intersect (select profile_id from {VALUE} union select profile_id from profiles.events where amount > 8)",
    "union in a cte": f"with a as (select profile_id from {VALUE} where lifetime_value_usd > 1 except select 'bob' as profile_id from {VALUE}) select a.profile_id from a join profiles.profiles p on a.profile_id = p.profile_id where p.email is not null",
    "consented": f"""select people.profile_id from profiles.profiles as people inner join (
        select v.profile_id, v.last_order_at from {VALUE} as v where v.lifetime_value_usd > 600) as granted on granted.profile_id = people.profile_id
        where people.email is not null  -- a comment
        """,
    "recursive": f"with recursive n as (select 1 as i union all select i + 1 from n where i < 3) select v.profile_id from {VALUE} v cross join n where v.lifetime_value_usd > n.i * 800",
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[DuckDBReading]:
    with duckdb.connect() as connection:
        connection.execute(WORLD)
        yield DuckDBReading(connection)


def tree(world: DuckDBReading, sql: str, person: str) -> Condition:
    return explain(world, parsed(sql, "duckdb"), "duckdb", person)


@pytest.mark.parametrize("name", QUERIES)
def test_the_tree_is_true_for_whom_the_query_gives_and_for_nobody_else(world: DuckDBReading, name: str) -> None:
    members = {row[0] for row in world.execute(QUERIES[name]).fetchall()}
    for person in [*PEOPLE, "nobody"]:
        found = tree(world, QUERIES[name], person)
        told = [line[:2] + line[3:] for line in lines(found)]
        assert (found.verdict is True) == (person in members), f"{person}: {told}"
        assert bool(reasons(found)) == (person not in members), f"{person}: {told}"


def test_the_world_has_members_and_others_for_nearly_every_query(world: DuckDBReading) -> None:
    """Else the test above could not fail."""
    sizes = [len({row[0] for row in world.execute(sql).fetchall()} & set(PEOPLE)) for sql in QUERIES.values()]
    assert all(0 < size < len(PEOPLE) for size, name in zip(sizes, QUERIES, strict=True) if name != "not in with null")


@pytest.mark.parametrize("name", ["consented", "cte", "subquery", "union in a cte"])
def test_what_stands_within_a_row_says_whether_there_is_one(world: DuckDBReading, name: str) -> None:
    seen = set()
    for person in PEOPLE:
        for leaf in tree(world, QUERIES[name], person).leaves():
            if leaf.within:
                assert (leaf.within.verdict is True) is leaf.holds
                seen.add(leaf.holds)
    assert seen == {True, False}


def test_conditions_read_as_written_and_nested_ones_are_indented(world: DuckDBReading) -> None:
    sql = f"""select profile_id from {VALUE} where LIFETIME_VALUE_USD >= 500 and (last_order_at <= {AS_OF}
        or not ("lifetime_value_usd" in (1, 2) and last_order_at is not null))"""
    assert lines(tree(world, sql, "ann")) == [
        ("has a row in attributes.lifetime_value", None, None, "holds"),
        ("LIFETIME_VALUE_USD >= 500", "2500.000", "500", "holds"),
        ("any of", None, None, "holds"),
        ("  last_order_at <= as_of", "2026-10-30 00:00:00", "2026-11-01 00:00:00", "holds"),
        ("  not", None, None, "holds"),
        ("    all of", None, None, "fails"),
        ("      lifetime_value_usd in (1, 2)", "2500.000", None, "fails"),
        ("      last_order_at is not null", "2026-10-30 00:00:00", None, "holds"),
    ]


def test_a_computed_side_is_shown_with_its_columns_and_null_is_unknown(world: DuckDBReading) -> None:
    sql = "select profile_id from profiles.profiles where coalesce(country, 'none') = 'x' and country = 'pt' and length(email) between 1 and 2"
    assert lines(tree(world, sql, "cid"))[1:] == [
        ("coalesce(country, 'none') = 'x'", "none (country = null)", "x", "fails"),
        ("country = 'pt'", "null", "pt", "unknown: null"),
        ("length(email) between 1 and 2", "13 (email = cid@x.example)", "1 and 2", "fails"),
    ]


def test_the_reason_is_the_failing_leaves_and_a_missing_row_stands_for_what_follows_from_it(
    world: DuckDBReading,
) -> None:
    assert because(tree(world, QUERIES["and"], "dee")) == "no row in attributes.lifetime_value"
    assert (
        because(tree(world, QUERIES["and"], "ann"))
        == "last_order_at <= as_of - interval '60' day fails (2026-10-30 00:00:00)"
    )
    assert because(tree(world, QUERIES["consented"], "bob")) == "people.email is not null fails (null)"
    missing = "no row in granted, for no row in attributes.lifetime_value"
    assert because(tree(world, QUERIES["consented"], "eve")) == missing
    assert because(tree(world, QUERIES["except"], "ann")).endswith(
        "v.lifetime_value_usd >= 2000 holds, and must not (2500.000)"
    )


def test_of_several_rows_the_nearest_is_shown(world: DuckDBReading) -> None:
    found = tree(world, "select profile_id from profiles.events where event_name = 'cart' and amount > 10", "ann")
    assert [line[1] for line in lines(found)] == ["3 rows; the nearest is shown", "cart", "7"]


def test_having_is_asked_of_the_rows_together(world: DuckDBReading) -> None:
    found = lines(tree(world, QUERIES["having"], "bob"))
    assert found[-2:] == [("count(*) >= 2", "2", "2", "holds"), ("sum(amount) > 4", "3", "4", "fails")]
    assert lines(tree(world, QUERIES["having"], "cid"))[-1][3] == "unknown: null"


def test_a_threshold_that_the_clock_sets_is_shown_as_a_moment(world: DuckDBReading) -> None:
    found = tree(world, f"select profile_id from {VALUE} where last_order_at <= {AS_OF} - interval 60 day", "bob")
    assert lines(found)[-1][0] == "last_order_at <= as_of - interval '60' day"
    assert lines(found)[-1][2:] == ("2026-09-02 00:00:00", "holds")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select profile_id from", "cannot be read"),
        ("delete from profiles.profiles", "not one query"),
        (f"select profile_id from {VALUE} order by lifetime_value_usd desc limit 10", "`limit` compares people"),
        (f"select profile_id from {VALUE} qualify row_number() over (order by lifetime_value_usd) < 3", "`qualify`"),
        (f"select max(profile_id) as profile_id from {VALUE}", "computes who the person is"),
        (f"select profile_id, 1 from {VALUE} except select profile_id, 2 from {VALUE}", "more than the person"),
        ("select country from profiles.profiles", "gives no profile_id"),
        ("select profile_id from profiles.nowhere where x = 1", "refused"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_says_why(world: DuckDBReading, sql: str, reason: str) -> None:
    with pytest.raises(Unexplained, match=reason):
        tree(world, sql, "ann")


def test_verdicts_follow_the_rules_of_sql() -> None:
    for kind, word in (("all", "and"), ("any", "or")):
        for left in (True, False, None):
            for right in (True, False, None):
                ours = joined(kind, [Condition("l", holds=left), Condition("r", holds=right)]).verdict  # type: ignore[arg-type]
                theirs = duckdb.execute(
                    f"select cast(? as boolean) {word} cast(? as boolean)", [left, right]
                ).fetchone()
                assert theirs == (ours,)


@pytest.mark.parametrize(
    ("dialect", "moved"),
    [
        ("duckdb", f"(\n\n    ({AS_OF} + cast(-5184000 as bigint) * interval 1 second))"),
        ("postgres", f"(\n\n    ({AS_OF} + ((interval '1 second') * (-5184000))))"),
    ],
)
def test_the_clock_reads_as_a_person_says_it(dialect: str, moved: str) -> None:
    """As dbt compiles `as_of_minus(days=60)` on the two engines."""
    where = parsed(f'select profile_id from "x"."y"."z" where "last_order_at" <= {moved}', dialect).args["where"].this
    assert text_of(where, dialect) == "last_order_at <= as_of - 60 days"
