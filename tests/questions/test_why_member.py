"""What is asked of a warehouse and of its past, from landed messages to the command: `cdp why-member`, `cdp at`, `cdp audience-diff`.

One home for all of it. SQL alone: test_take_apart.py; landing and moments of the past alone: test_past.py.
"""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration.home import Home
from cdp_orchestration.project.manifest import audience_files
from cdp_orchestration.warehouse import Warehouse
from tests.builds.test_bad_input import copied_project
from tests.support.harness import PROJECT, Platform

EXPLAINED = ["by_hand", "cart_abandoners", "high_intent", "lapsing_customers", "newsletter_subscribers", "vips"]
AUDIENCES = {file.stem for file in audience_files(PROJECT)}

BY_HAND = """with buyers as (select * from {{ ref('lifetime_value') }})
select people.profile_id
from {{ ref('profiles') }} as people
left join buyers on buyers.profile_id = people.profile_id
where (buyers.lifetime_value_usd between 100 and 900 or buyers.profile_id is null) and people.country in ('pt', 'es')
"""
NEWLY_VIP = "select people.profile_id from {{ ref('profiles') }} as people where {{ entered_within('vips', days=40) }}"
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
            say(
                user,
                "track",
                "2026-10-28" if user % 3 else "2026-10-02",
                event="Product Added",
                properties={"sku": "trip"},
            )
    return found


# Lands before the first build, which speaks for a moment before it.
AHEAD = {"type": "identify", "messageId": "ahead", "userId": "u9", "traits": {"loyalty_tier": "gold"},
         "timestamp": "2026-10-01T12:00:00Z", "receivedAt": "2026-10-01T00:00:00Z"}  # fmt: skip


def late() -> list[dict]:
    """What happened before October and lands in November: an order, a country, a consent withdrawn, an address of somebody known."""
    said: list[dict[str, Any]] = [
        {
            "type": "track",
            "userId": "u6",
            "event": "Order Completed",
            "properties": {"order_id": "late", "total": 5000},
        },
        {"type": "identify", "userId": "u3", "traits": {"address": {"country": "de"}}},
        {
            "type": "identify",
            "userId": "u1",
            "context": {"consent": {"categoryPreferences": {"email_marketing": False}}},
        },
        {"type": "identify", "anonymousId": "x", "traits": {"email": "u5@x.example"}},
    ]
    return [
        {
            **each,
            "messageId": f"late{number}",
            "timestamp": f"2026-09-2{number}T10:00:00Z",
            "receivedAt": "2026-10-20T10:00:00Z",
        }
        for number, each in enumerate(said)
    ]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Built twice, a month apart, with three audiences more than the project has: one that a hand wrote, one with a limit, one
    that asks what builds saw. `first.duckdb` is the warehouse as the first build left it. The project is in git."""
    folder: Path = tmp_path_factory.mktemp("why_member")
    platform = Platform(folder / "home", copied_project(folder))
    audiences = platform.project / "dbt_project" / "models" / "5_audiences"
    (audiences / "by_hand.sql").write_text(BY_HAND)
    (audiences / "top.sql").write_text(TOP)
    (audiences / "newly_vip.sql").write_text(NEWLY_VIP)
    platform.drop("a.jsonl", [AHEAD, *(m for m in messages() if m["timestamp"] < "2026-10")])
    platform.run("--as-of", "2026-10-01", "--no-deliver")
    Warehouse(Home(platform.root)).copy_to(platform.root / "first.duckdb")
    platform.drop("b.jsonl", [*late(), *(m for m in messages() if m["timestamp"] >= "2026-10")])
    platform.run("--as-of", "2026-11-01", "--no-deliver")
    git(platform, "init", "--quiet")
    git(platform, "add", "dbt_project", "dbt_project.yml")
    git(platform, "commit", "--quiet", "--message", "as it is")
    return platform


def git(platform: Platform, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@x.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(platform.project), *identity, *arguments], check=True)


EXPLAIN = """
import json, sys
from cdp_orchestration.conditions.take_apart import explain, parsed
from cdp_orchestration.home import current_home
from cdp_orchestration.project.compiled import compiled
from cdp_orchestration.project.manifest import audiences, current_manifest
from cdp_orchestration.warehouse import Warehouse, target
home = current_home()
models = [node for name, node in audiences(current_manifest(home)).items() if name in sys.argv[1:]]
sql = compiled(home, models)
with Warehouse(home).reading() as connection:
    people = [row[0] for row in connection.execute("select distinct profile_id from identity.identifiers").fetchall()]
    told = {name: [one for one in people if explain(connection, parsed(text, target()), target(), one).verdict]
            for name, text in sql.items()}
print("TOLD", json.dumps([told, len(people)]))
"""


def told_and_real(platform: Platform) -> tuple[dict[str, set[str]], dict[str, set[str]], int]:
    """Members of each audience by the verdicts of the trees of everybody, and by the last build; how many people there are."""
    done = platform.python("-c", EXPLAIN, *EXPLAINED)
    assert done.returncode == 0, done.stderr
    told, people = json.loads(done.stdout.partition("TOLD ")[2])
    real: dict[str, set[str]] = {name: set() for name in told}
    for audience, person in platform.rows("select audience, profile_id from audiences.current_members"):
        if audience in real:
            real[audience].add(person)
    return {name: set(found) for name, found in told.items()}, real, people


def test_the_verdict_is_the_membership_for_everybody_and_every_audience(platform: Platform) -> None:
    told, real, people = told_and_real(platform)
    assert set(told) == {*EXPLAINED}
    assert told == real
    sizes = {name: len(members) for name, members in real.items()}
    for name in set(EXPLAINED) - {"high_intent"}:
        assert 2 <= sizes[name] <= people - 2, sizes


def test_a_member_and_another_one_are_told_why(platform: Platform) -> None:
    member = platform.cdp("why-member", "vips", "user_id=u11").stdout
    assert "lifetime_value_usd >= 2000" in member
    assert "user_id=u11 is a member of vips since 2026-10-01 00:00:00. The conditions hold." in member
    other = platform.cdp("why-member", "vips", "user_id=u7").stdout
    assert "is not a member of vips. Why not: lifetime_value_usd >= 2000 fails (1400" in other
    none = platform.cdp("why-member", "newsletter_subscribers", "user_id=u3").stdout
    assert "Why not: no row in profiles.consents, for consents.state in ('granted') fails (denied)." in none
    assert " consents.state in ('granted')" in none


def test_at_a_past_moment_the_conditions_are_those_of_then(platform: Platform) -> None:
    then = platform.cdp("why-member", "vips", "user_id=u6", "--as-of", "2026-10-15").stdout
    reason = "Why not: no row in attributes.lifetime_value."
    assert f"At 2026-10-15 00:00:00, user_id=u6 was not a member of vips. {reason}" in then
    assert (
        "As builds saw it (the last until then was of 2026-10-01 00:00:00), user_id=u6 was not a member then." in then
    )
    assert "user_id=u6 is a member of vips since 2026-11-01" in platform.cdp("why-member", "vips", "user_id=u6").stdout
    assert not list((platform.root / "scratch").glob("cdp*"))


def test_what_is_unknown_is_named_with_what_there_is(platform: Platform) -> None:
    audience = platform.cdp("why-member", "vip", "user_id=u1")
    assert audience.returncode == 1
    there = sorted({*AUDIENCES, "by_hand", "newly_vip", "top"})
    assert f"vip: there is no such audience. There are: {', '.join(there)}." in audience.stderr
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


# When they ran, what each found, and from which writes they went on.
LISTS_OF_BUILDS = {"builds", "current_build", "checks_passed", "vitals", "touched", "calculated"}


def relations(file: Path) -> dict[str, list[str]]:
    """Every relation above staging, and what staging makes of all that landed, by name, as sorted rows without build ids."""
    with duckdb.connect(str(file), read_only=True) as connection:
        columns = connection.execute(
            "select table_schema || '.' || table_name, string_agg(column_name, ',' order by ordinal_position) "
            "filter (column_name <> 'build_id') from information_schema.columns where table_name not in "
            f"{tuple(LISTS_OF_BUILDS)} and (table_schema in ('identity', 'profiles', 'attributes', 'audiences') "
            "or (table_schema = 'staging' and table_name in ('messages', 'intake', 'quarantine'))) group by 1"
        ).fetchall()
        return {
            relation: sorted(map(repr, connection.execute(f"select {names} from {relation}").fetchall()))
            for relation, names in (
                (relation, ", ".join(f'"{name}"' for name in names.split(","))) for relation, names in columns
            )
        }


def untouched(platform: Platform) -> dict[str, str]:
    """The contents of what only passes may write."""
    files = [platform.root / "warehouse.duckdb", *(platform.root / "deliveries").rglob("*.parquet"),
             *(platform.root / "landing").rglob("*.parquet"), platform.root / "relations.json"]  # fmt: skip
    return {str(file): hashlib.md5(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def kept(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of October, kept."""
    folder = tmp_path_factory.mktemp("past") / "october"
    before = untouched(platform)
    done = platform.cdp("at", "2026-10-01", "--keep", str(folder))
    assert done.returncode == 0, done.stderr + platform.log()
    (folder / "said").write_text(done.stdout)
    assert untouched(platform) == before
    return folder


def test_the_past_is_what_the_build_of_that_day_gave(platform: Platform, kept: Path) -> None:
    first, then, now = (
        relations(f)
        for f in (platform.root / "first.duckdb", kept / "warehouse.duckdb", platform.root / "warehouse.duckdb")
    )
    assert set(first) <= set(then)
    assert [name for name in first if first[name] != then[name]] == []
    for name in ("profiles.traits", "profiles.consents", "profiles.profiles", "attributes.lifetime_value", "audiences.vips",
                 "identity.identifiers", "audiences.newsletter_subscribers"):  # fmt: skip
        assert first[name] != now[name], f"{name}: what landed late would show"


def test_the_past_is_told_and_said_to_be_kept(kept: Path) -> None:
    said = (kept / "said").read_text()
    assert (
        "As of 2026-10-01 00:00:00, by what had landed when the build of 2026-10-01 00:00:00 ran: batches 1 to 1."
        in said
    )
    assert ["vips", "3", "2", "0", "0"] in [line.split() for line in said.splitlines()]
    assert "newly_vip: depends on entries and exits that builds saw" in said
    assert f"{kept}/warehouse.duckdb" in said


def test_a_warehouse_of_the_past_is_asked_again_but_never_run(platform: Platform, kept: Path) -> None:
    said = platform.cdp("why-member", "newsletter_subscribers", "user_id=u1", "--kept", str(kept)).stdout
    assert "At 2026-10-01 00:00:00, user_id=u1 was a member of newsletter_subscribers." in said
    assert "user_id=u1 was a member then: entered 2026-10-01 00:00:00, left 2026-11-01 00:00:00." in said
    run = Platform(kept, platform.project).cdp("run")
    assert run.returncode == 1
    assert "is a warehouse of the past" in run.stderr
    again = platform.cdp("at", "2026-10-01", "--keep", str(kept))
    assert again.returncode == 1
    assert "is there already, and not empty" in again.stderr


def test_a_change_is_compared_with_a_revision_over_the_same_data(platform: Platform) -> None:
    models = platform.project / "dbt_project" / "models" / "5_audiences"
    before = untouched(platform)
    (models / "vips.sql").write_text((models / "vips.sql").read_text().replace("2000", "1000"))
    (models / "by_hand.sql").rename(models / "by_another_hand.sql")
    try:
        done = platform.cdp(
            "audience-diff", "--base", "HEAD", "vips", "by_hand", "by_another_hand", "--fail-over", "20"
        )
    finally:
        git(platform, "checkout", "--quiet", "dbt_project")
        (models / "by_another_hand.sql").unlink()
    assert done.returncode == 1, done.stdout + done.stderr + platform.log()
    assert (
        "to the working tree, which has changes that are not committed, both as of 2026-11-01 00:00:00" in done.stdout
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["vips", "5", "8", "3", "0", "5"] in lines
    assert ["by_another_hand", "new", "0", "5", "5", "0", "0"] in lines
    assert ["by_hand", "removed", "5", "0", "0", "5", "0"] in lines
    assert any(line[:2] == ["vips", "added"] and "email=u…@x.example" in line for line in lines)
    assert "over 20 %: vips: 3 adds and 0 drops are 60.0 % of 5 members." in done.stderr
    assert "by_hand: 0 adds and 5 drops are 100.0 %" in done.stderr
    assert untouched(platform) == before


def test_postgres_gives_the_same_past_in_a_database_of_its_own(
    platform: Platform, kept: Path, postgres: dict[str, str]
) -> None:
    """Nothing is built there: --through says how far to read. What a sample shows is all of these audiences."""
    other = Platform(platform.root, platform.project, postgres)
    scratch = "select datname from pg_database where datname like 'cdp_scratch_%'"
    before = other.rows(scratch)
    done = other.cdp("at", "2026-10-01", "vips", "newsletter_subscribers", "--through", "1")
    assert done.returncode == 0, done.stderr + other.log()
    with duckdb.connect(str(kept / "warehouse.duckdb"), read_only=True) as connection:
        for audience in ("vips", "newsletter_subscribers"):
            members = {row[0] for row in connection.execute(f"select profile_id from audiences.{audience}").fetchall()}
            _, _, sample = done.stdout.partition(f"{audience}: a sample")
            assert {
                line.split()[0] for line in sample.partition(": a sample")[0].splitlines() if "=" in line
            } == members
    assert "user_id=u11, email=u…@x.example" in done.stdout
    assert other.rows(scratch) == before
    assert other.rows("select nspname from pg_namespace where nspname in ('landing', 'staging', 'audiences')") == []
