"""`cdp why-member` on the project's own audiences, from landed messages to the command. SQL alone: test_take_apart.py.

The same home has a split audience, a priority list and an exclusion list: what they come to in a build, and how it is told.
"""

import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.audiences.test_splits import place
from tests.builds.test_bad_input import copied_project
from tests.support.harness import Platform

BY_HAND = """with buyers as (select * from {{ ref('lifetime_value') }})
select people.profile_id
from {{ ref('profiles') }} as people
left join buyers on buyers.profile_id = people.profile_id
where (buyers.lifetime_value_usd between 100 and 900 or buyers.profile_id is null) and people.country in ('pt', 'es')
"""
SPLIT = """select people.profile_id, {{ variant_of({'a': 50, 'b': 50}, people='people') }} as variant
from {{ ref('profiles') }} as people
where {{ trait('email', 'exists') }}
"""
SPLIT_TWIN = """version: 2
models:
  - name: offer
    config: {contract: {enforced: true}}
    data_tests: [is_audience]
    columns:
      - {name: profile_id, data_type: text}
      - {name: variant, data_type: text}
"""
SECOND = "select profile_id from {{ ref('profiles') }} where country in ('pt', 'fr') or email = 'blocked@x.example'"
BLOCKED = "select profile_id from {{ ref('profiles') }} where email = 'blocked@x.example'"
LISTS = {
    "priority_lists: {}": "priority_lists: {choice: [by_hand, second_choice]}",
    "excluded: []": "excluded: [blocked]",
    "jump_from_members: 100": "jump_from_members: 3",
}
ASIDE = {"second_choice", "blocked"}  # what their conditions say is not who is in them, or of no interest
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
    # Two people of the split audience, in its two variants, whom a message of October makes one.
    for message, who in (("elder", {"userId": "elder"}), (YOUNGER, {"anonymousId": "younger"})):
        say(0, "identify", "2026-05-02", traits={"email": f"{message}@x.example"}, messageId=message)
        found[-1] = {key: value for key, value in found[-1].items() if key != "userId"} | who
    say(0, "identify", "2026-10-20", userId="elder", anonymousId="younger", traits={})
    say(0, "identify", "2026-05-03", userId="blocked", traits={"email": "blocked@x.example"})
    return found


def variant(message: str) -> str:
    """Of the profile that the message founds."""
    return "a" if place("offer", hashlib.md5(message.encode()).hexdigest()) < 5000 else "b"


YOUNGER = next(name for name in map("younger{}".format, range(99)) if variant(name) != variant("elder"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Built twice, a month apart, with two audiences more than the project has: one that a hand wrote, one with a limit."""
    folder: Path = tmp_path_factory.mktemp("why_member")
    platform = Platform(folder / "home", copied_project(folder))
    audiences = platform.project / "dbt_project" / "models" / "5_audiences"
    (audiences / "by_hand.sql").write_text(BY_HAND)
    (audiences / "top.sql").write_text(TOP)
    (audiences / "offer.sql").write_text(SPLIT)
    (audiences / "offer.yml").write_text(SPLIT_TWIN)
    (audiences / "second_choice.sql").write_text(SECOND)
    (audiences / "blocked.sql").write_text(BLOCKED)
    declared = platform.project / "dbt_project.yml"
    text = declared.read_text()
    for before, after in LISTS.items():
        assert before in text
        text = text.replace(before, after)
    declared.write_text(text)
    platform.drop("a.jsonl", [m for m in messages() if m["timestamp"] < "2026-10"])
    platform.run("--as-of", "2026-10-01", "--no-deliver")
    platform.drop("b.jsonl", [m for m in messages() if m["timestamp"] >= "2026-10"])
    platform.said = platform.run("--as-of", "2026-11-01", "--no-deliver").stdout  # type: ignore[attr-defined]
    return platform


EXPLAIN = """
import json, sys
from cdp_orchestration.conditions.take_apart import explain, parsed
from cdp_orchestration.home import current_home
from cdp_orchestration.project.compiled import compiled
from cdp_orchestration.project.manifest import audiences, current_manifest
from cdp_orchestration.warehouse import Warehouse, target
home = current_home()
models = [node for name, node in audiences(current_manifest(home)).items() if name not in ("top", *sys.argv[1:])]
sql = compiled(home, models)
with Warehouse(home).reading() as connection:
    people = [row[0] for row in connection.execute("select distinct profile_id from identity.identifiers "
        "where profile_id not in (select profile_id from audiences.blocked)").fetchall()]
    told = {name: [one for one in people if explain(connection, parsed(text, target()), target(), one).verdict]
            for name, text in sql.items()}
print("TOLD", json.dumps([told, len(people)]))
"""


def told_and_real(platform: Platform) -> tuple[dict[str, set[str]], dict[str, set[str]], int]:
    """Members of each audience by the verdicts of the trees of everybody, and by the last build; how many people there are."""
    done = platform.python("-c", EXPLAIN, *ASIDE)
    assert done.returncode == 0, done.stderr
    told, people = json.loads(done.stdout.partition("TOLD ")[2])
    real: dict[str, set[str]] = {name: set() for name in told}
    for audience, person in platform.rows("select audience, profile_id from audiences.current_members"):
        if audience in real:
            real[audience].add(person)
    return {name: set(found) for name, found in told.items()}, real, people


def test_the_verdict_is_the_membership_for_everybody_and_every_audience(platform: Platform) -> None:
    told, real, people = told_and_real(platform)
    assert set(told) == {"by_hand", "cart_abandoners", "lapsing_customers", "newsletter_subscribers", "offer", "vips"}
    assert told == real
    assert all(2 <= len(members) <= people - 2 for members in real.values()), {n: len(m) for n, m in real.items()}


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
    assert (
        "no audience vip. There are: blocked, by_hand, cart_abandoners, lapsing_customers, newsletter_subscribers, offer, "
        "second_choice, top, vips." in audience.stderr
    )
    assert "Nobody holds user_id=nobody" in platform.cdp("why-member", "vips", "user_id=nobody").stderr
    limited = platform.cdp("why-member", "top", "user_id=u1").stdout
    assert "The conditions of top cannot be shown: its `limit` compares people with each other." in limited
    assert "user_id=u1 is not a member of top." in limited


def test_who_meets_the_conditions_and_is_kept_out_is_told_by_whom(platform: Platform) -> None:
    inside = {row[0] for row in platform.rows("select profile_id from audiences.second_choice")}
    selected = {row[0] for row in platform.rows(SECOND.replace("{{ ref('profiles') }}", "profiles.profiles"))}
    first = {row[0] for row in platform.rows("select profile_id from audiences.by_hand")}
    [[blocked]] = platform.rows("select profile_id from audiences.blocked")
    assert blocked in selected
    assert first & selected
    assert inside == selected - first - {blocked}
    said = platform.cdp("why-member", "second_choice", "user_id=blocked").stdout
    assert "blocked holds them, and its people are excluded from every audience." in said
    user = next(user for user in range(16) if user % 16 < 4 and holder(platform, user) in first)
    said = platform.cdp("why-member", "second_choice", f"user_id=u{user}").stdout
    why = "by_hand holds them, and it stands above second_choice in the priority list choice."
    assert f"is not a member of second_choice. The conditions hold, but {why}" in said
    then = platform.cdp("why-member", "second_choice", f"user_id=u{user}", "--as-of", "2026-11-01").stdout
    assert f"Whatever the conditions say, {why.replace('holds', 'held')}" in then
    preview = platform.cdp("preview", "second_choice").stdout
    assert (
        f"{len(selected - inside)} more meet the conditions, but are kept out: who is in by_hand, as it stands above"
        in preview
    )
    assert ["would", "enter", "0"] in [line.split() for line in preview.splitlines()]
    assert ["would", "leave", "0"] in [line.split() for line in preview.splitlines()]


def holder(platform: Platform, user: int) -> str:
    [[person]] = platform.rows(f"select profile_id from identity.identifiers where identifier_value = 'u{user}'")
    return str(person)


def test_a_split_audience_remembers_variants_and_a_merge_keeps_the_elders(platform: Platform) -> None:
    dealt = dict(platform.rows("select profile_id, variant from audiences.offer"))
    assert dealt == {person: "a" if place("offer", person) < 5000 else "b" for person in dealt}
    held = "select profile_id, variant from {} where audience = 'offer'"
    assert dict(platform.rows(held.format("audiences.current_members"))) == dealt
    assert dict(platform.rows(held.format("audiences.memberships") + " and exited_at is null")) == dealt
    elder, younger = (hashlib.md5(message.encode()).hexdigest() for message in ("elder", YOUNGER))
    assert dealt[elder] == variant("elder")
    exits = platform.rows(
        "select profile_id, variant from audiences.changes where audience = 'offer' and change = 'exited'"
    )
    assert exits == [(younger, variant(YOUNGER))]
    collisions = platform.rows('select audience, profile_id, kept, dropped, "at" from audiences.variant_collisions')
    assert collisions == [("offer", elder, variant("elder"), variant(YOUNGER), datetime(2026, 11, 1))]


def test_sizes_coverage_and_overlap_are_of_the_last_build(platform: Platform) -> None:
    sizes = platform.rows('select audience, members, entered, exited from audiences.sizes order by "at", audience')
    assert len(sizes) == 2 * 9
    now = {audience: counts for audience, *counts in sizes[9:]}
    assert now["offer"] == [9, 0, 1]  # eight with an address, and the elder; not the blocked one
    members = platform.rows("select audience, profile_id from audiences.current_members")
    assert {name: counts[0] for name, counts in now.items()} == {
        name: sum(audience == name for audience, _ in members) for name in now
    }
    reached = {row[0]: row[1:] for row in platform.rows("from audiences.coverage")}
    assert reached["offer"] == (9, 9, 0, 0)
    overlap = {row[:2]: row[2] for row in platform.rows("from audiences.overlap")}
    for one in now:
        for other in now.keys() - {one}:
            both = {p for a, p in members if a == one} & {p for a, p in members if a == other}
            assert overlap.get((one, other), 0) == len(both)


def test_a_run_says_which_audiences_jumped(platform: Platform) -> None:
    said = platform.said  # type: ignore[attr-defined]
    [[carts]] = platform.rows("select count(*) from audiences.cart_abandoners")
    assert f"audience cart_abandoners: {carts} members, and 0 a day before: it moved by more than 50 %." in said
    assert "audience vips" not in said
    assert "All went well" in said


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
