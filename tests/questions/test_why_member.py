"""`cdp why-member` on the project's own audiences, from landed messages to the command. SQL alone: test_take_apart.py."""

import json
from pathlib import Path

import pytest

from cdp_orchestration.project.manifest import audience_files
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
    assert f"no audience vip. There are: {', '.join(sorted({*AUDIENCES, 'by_hand', 'top'}))}." in audience.stderr
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
