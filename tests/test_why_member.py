"""`cdp why-member`: the tree says what the query says, for everybody; and it reads as the model was written.

First on plain SQL over a small world, without dbt; then on the audiences of the project.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from cdp_orchestration.conditions.asking import Unexplained
from cdp_orchestration.conditions.take_apart import at, explain, parsed
from cdp_orchestration.conditions.tree import Condition, joined, reasons
from cdp_orchestration.queries.why_member import because, lines
from cdp_orchestration.warehouse.duckdb import DuckDBReading
from tests.harness import Platform
from tests.test_bad_input import copied_project

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
                assert leaf.within.verdict is leaf.holds
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


def test_the_reason_is_the_failing_leaves_and_a_missing_row_stands_for_what_follows_from_it(world: DuckDBReading) -> None:
    assert because(tree(world, QUERIES["and"], "dee")) == "no row in attributes.lifetime_value"
    assert because(tree(world, QUERIES["and"], "ann")) == "last_order_at <= as_of - interval '60' day fails (2026-10-30 00:00:00)"
    assert because(tree(world, QUERIES["consented"], "bob")) == "people.email is not null fails (null)"
    missing = "no row in granted, for no row in attributes.lifetime_value"
    assert because(tree(world, QUERIES["consented"], "eve")) == missing
    assert because(tree(world, QUERIES["except"], "ann")).endswith("v.lifetime_value_usd >= 2000 holds, and must not (2500.000)")


def test_of_several_rows_the_nearest_is_shown(world: DuckDBReading) -> None:
    found = tree(world, "select profile_id from profiles.events where event_name = 'cart' and amount > 10", "ann")
    assert [line[1] for line in lines(found)] == ["3 rows; the nearest is shown", "cart", "7"]


def test_having_is_asked_of_the_rows_together(world: DuckDBReading) -> None:
    found = lines(tree(world, QUERIES["having"], "bob"))
    assert found[-2:] == [("count(*) >= 2", "2", "2", "holds"), ("sum(amount) > 4", "3", "4", "fails")]
    assert lines(tree(world, QUERIES["having"], "cid"))[-1][3] == "unknown: null"


def test_the_clock_can_stand_at_another_moment(world: DuckDBReading) -> None:
    sql = f"select profile_id from {VALUE} where last_order_at <= {AS_OF} - interval 60 day"
    verdicts = {}
    for moment in ("2026-11-01", "2026-08-01"):
        found = explain(world, at(parsed(sql, "duckdb"), moment), "duckdb", "bob")
        verdicts[moment] = lines(found)[-1]
    assert verdicts["2026-11-01"][2:] == ("2026-09-02 00:00:00", "holds")
    assert verdicts["2026-08-01"][0] == "last_order_at <= as_of - interval '60' day"
    assert verdicts["2026-08-01"][2:] == ("2026-06-02 00:00:00", "fails")


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
                theirs = duckdb.execute(f"select cast(? as boolean) {word} cast(? as boolean)", [left, right]).fetchone()
                assert theirs == (ours,)


# The project's own audiences, from landed messages to the command.

BY_HAND = """with buyers as (select * from {{ ref('lifetime_value') }})
select people.profile_id
from {{ ref('profiles') }} as people
left join buyers on buyers.profile_id = people.profile_id
where (buyers.lifetime_value_usd between 100 and 900 or buyers.profile_id is null) and people.country in ('pt', 'es')
"""
TOP = "select profile_id from {{ ref('lifetime_value') }} order by lifetime_value_usd desc limit 1"


def messages() -> list[dict]:
    """Sixteen people: with and without an address, consent, orders (small, large, long ago) and carts."""
    found: list[dict] = []

    def say(user: int, kind: str, day: str, **body: object) -> None:
        found.append({"type": kind, "messageId": f"m{len(found)}", "userId": f"u{user}", "timestamp": f"{day}T10:00:00Z",
                      "receivedAt": f"{day}T10:00:00Z", **body})  # fmt: skip

    for user in range(16):
        traits: dict[str, object] = {"address": {"country": ("pt", "es", "fr", None)[user // 4]}}
        if user % 2:
            traits["email"] = f"u{user}@x.example"
        consent = {"consent": {"categoryPreferences": {"email_marketing": user % 3 != 0}}} if user % 4 else {}
        say(user, "identify", "2026-05-01", traits=traits, context=consent)
        if user % 5:
            day = "2026-06-01" if user % 3 else "2026-10-30"
            say(user, "track", day, event="Order Completed",
                properties={"order_id": f"o{user}", "total": 200 * user})  # fmt: skip
        if user % 4 < 2:
            say(user, "track", "2026-10-28" if user % 3 else "2026-10-02", event="Product Added", properties={"sku": "trip"})
    return found


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Built twice, a month apart, with two audiences more than the project has: one that a hand wrote, one with a limit."""
    folder: Path = tmp_path_factory.mktemp("why_member")
    platform = Platform(folder / "home", copied_project(folder))
    audiences = platform.project / "dbt_project" / "models" / "5_audiences"
    (audiences / "by_hand.sql").write_text(BY_HAND)
    (audiences / "top.sql").write_text(TOP)
    platform.drop("a.jsonl", [m for m in messages() if m["timestamp"] < "2026-10"])
    platform.run("--as-of", "2026-10-01", "--no-deliver")
    platform.drop("b.jsonl", [m for m in messages() if m["timestamp"] >= "2026-10"])
    platform.run("--as-of", "2026-11-01", "--no-deliver")
    return platform


EXPLAIN = """
import json, sys
from cdp_orchestration.conditions.take_apart import explain, parsed
from cdp_orchestration.home import current_home
from cdp_orchestration.project.compiled import audiences_of, compiled
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.warehouse import Warehouse, target
home = current_home()
models = [node for name, node in audiences_of(current_manifest(home)).items() if name != "top"]
sql = compiled(home, models)
with Warehouse(home).reading() as connection:
    people = [row[0] for row in connection.execute("select distinct profile_id from identity.identifiers").fetchall()]
    told = {name: [one for one in people if explain(connection, parsed(text, target()), target(), one).verdict]
            for name, text in sql.items()}
print("TOLD", json.dumps([told, len(people)]))
"""


def told_and_real(platform: Platform) -> tuple[dict[str, set[str]], dict[str, set[str]], int]:
    """Members of each audience by the verdicts of the trees of everybody, and by the last build; how many people there are."""
    done = platform.python("-c", EXPLAIN)
    assert done.returncode == 0, done.stderr
    told, people = json.loads(done.stdout.partition("TOLD ")[2])
    real: dict[str, set[str]] = {name: set() for name in told}
    for audience, person in platform.rows("select audience, profile_id from audiences.current_members"):
        if audience in real:
            real[audience].add(person)
    return {name: set(found) for name, found in told.items()}, real, people


def test_the_verdict_is_the_membership_for_everybody_and_every_audience(platform: Platform) -> None:
    told, real, people = told_and_real(platform)
    assert set(told) == {"by_hand", "cart_abandoners", "lapsing_customers", "newsletter_subscribers", "vips"}
    assert told == real
    assert all(2 <= len(members) <= people - 2 for members in real.values()), {n: len(m) for n, m in real.items()}


def test_a_member_and_another_one_are_told_why(platform: Platform) -> None:
    member = platform.cdp("why-member", "vips", "user_id=u11").stdout
    assert "lifetime_value_usd >= 2000" in member
    assert "user_id=u11 is a member of vips since 2026-10-01 00:00:00. The conditions hold." in member
    other = platform.cdp("why-member", "vips", "user_id=u7").stdout
    assert "is not a member of vips. Why not: lifetime_value_usd >= 2000 fails (1400" in other
    none = platform.cdp("why-member", "newsletter_subscribers", "user_id=u3").stdout
    assert "Why not: no row in granted, for consents.state = 'granted' fails (denied)." in none
    assert " consents.state = 'granted'" in none


def test_a_past_moment_is_told_as_builds_saw_it(platform: Platform) -> None:
    then = platform.cdp("why-member", "cart_abandoners", "user_id=u4", "--as-of", "2026-10-15").stdout
    assert "At 2026-10-15 00:00:00, user_id=u4 was not a member of cart_abandoners, as builds saw it" in then
    assert "the last until then was of 2026-10-01 00:00:00." in then
    assert "today's data" in then
    assert "2026-10-08 00:00:00" in then, "the window of the audience ends then"
    now = platform.cdp("why-member", "cart_abandoners", "user_id=u4", "--as-of", "2026-11-01").stdout
    assert "was a member of cart_abandoners (entered 2026-11-01 00:00:00)" in now
    before = platform.cdp("why-member", "vips", "user_id=u11", "--as-of", "2026-09-01").stdout
    assert "nobody knows who was a member of vips then" in before
    later = platform.cdp("why-member", "vips", "user_id=u11", "--as-of", "2027-01-01")
    assert later.returncode == 1
    assert "the last build speaks for 2026-11-01 00:00:00" in later.stderr


def test_what_is_unknown_is_named_with_what_there_is(platform: Platform) -> None:
    audience = platform.cdp("why-member", "vip", "user_id=u1")
    assert audience.returncode == 1
    assert "no audience vip. There are: by_hand, cart_abandoners, lapsing_customers, newsletter_subscribers, top, vips." in audience.stderr
    assert "Nobody holds user_id=nobody" in platform.cdp("why-member", "vips", "user_id=nobody").stderr
    limited = platform.cdp("why-member", "top", "user_id=u1").stdout
    assert "The conditions of top cannot be shown: its `limit` compares people with each other." in limited
    assert "user_id=u1 is not a member of top." in limited


def test_before_anything_is_built_it_says_so(platform: Platform, tmp_path: Path) -> None:
    done = Platform(tmp_path / "home").cdp("why-member", "vips", "user_id=u1")
    assert done.returncode == 1
    assert "There is no warehouse at" in done.stderr


def test_a_model_that_changed_since_the_build_is_told(platform: Platform) -> None:
    model = platform.project / "dbt_project" / "models" / "5_audiences" / "vips.sql"
    kept = model.read_text()
    model.write_text(kept.replace("2000", "1000"))
    try:
        told, real, _ = told_and_real(platform)
        assert told["vips"] > real["vips"], "the property above can fail"
        said = platform.cdp("why-member", "vips", "user_id=u7").stdout
        assert "is not a member of vips. By the conditions above it should be one: the model" in said
    finally:
        model.write_text(kept)
