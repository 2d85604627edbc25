"""A build with a split audience, a priority list and an exclusion list: what it comes to, and how it is told.

What the hooks write over several builds, merges among them, is in test_splits.py.
"""

from pathlib import Path

import pytest

from tests.audiences.test_splits import place
from tests.builds.test_bad_input import copied_project
from tests.support.harness import Platform

AUDIENCES = {
    "offer": """select people.profile_id, {{ variant_of({'a': 50, 'b': 'rest'}, people='people') }} as variant
from {{ ref('profiles') }} as people
where {{ trait('email', 'exists') }}
""",
    "first_choice": "select profile_id from {{ ref('profiles') }} where country in ('pt', 'es')",
    "second_choice": "select profile_id from {{ ref('profiles') }} where country in ('pt', 'fr')",
    "blocked": "select profile_id from {{ ref('profiles') }} where email = 'u2@x.example'",
}
TWIN = """version: 2
models:
  - name: offer
    config: {contract: {enforced: true}, meta: {audience: {jump_percent: 20}}}
    data_tests: [is_audience]
    columns:
      - {name: profile_id, data_type: text}
      - {name: variant, data_type: text}
"""
RULES = {
    "priority_lists: {}": "priority_lists: {choice: [first_choice, second_choice]}",
    "excluded: []": "excluded: [blocked]",
}
COUNTRIES = ("pt", "es", "fr", "it")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder: Path = tmp_path_factory.mktemp("audience_builds")
    platform = Platform(folder / "home", copied_project(folder))
    audiences = platform.project / "dbt_project" / "models" / "5_audiences"
    for name, text in AUDIENCES.items():
        (audiences / f"{name}.sql").write_text(text)
    (audiences / "offer.yml").write_text(TWIN)
    declared = platform.project / "dbt_project.yml"
    text = declared.read_text()
    for before, after in RULES.items():
        assert before in text
        text = text.replace(before, after)
    declared.write_text(text)
    time = "2026-10-01T10:00:00Z"
    platform.drop("a.jsonl", [
        {"type": "identify", "messageId": f"m{user}", "userId": f"u{user}", "timestamp": time, "receivedAt": time,
         "traits": {"country": COUNTRIES[user // 5], **({} if user % 5 == 4 else {"email": f"u{user}@x.example"})}}
        for user in range(20)
    ])  # fmt: skip
    platform.run("--as-of", "2026-11-01", "--no-deliver")
    return platform


def users(platform: Platform, audience: str) -> set[int]:
    """Members of the model's own relation: numbers of users."""
    found = platform.rows(
        f"select identifier_value from audiences.{audience} inner join identity.identifiers using (profile_id) "
        "where identifier_type = 'user_id'"
    )
    return {int(value[1:]) for (value,) in found}


def test_lists_and_exclusion_take_effect_without_a_word_in_the_model(platform: Platform) -> None:
    assert users(platform, "blocked") == {2}
    assert users(platform, "first_choice") == set(range(10)) - {2}
    assert users(platform, "second_choice") == set(range(10, 15))
    assert users(platform, "offer") == {user for user in range(20) if user % 5 != 4} - {2}


def test_who_meets_the_conditions_and_is_kept_out_is_told_by_whom(platform: Platform) -> None:
    said = platform.cdp("why-member", "second_choice", "user_id=u2").stdout
    assert "The conditions hold, but blocked holds them, and its people are excluded from every audience." in said
    said = platform.cdp("why-member", "second_choice", "user_id=u1", "--as-of", "2026-11-01").stdout
    why = "first_choice held them, and it stands above second_choice in the priority list choice."
    assert f"Whatever the conditions say, {why}" in said
    preview = platform.cdp("preview", "second_choice").stdout
    assert (
        "5 more meet the conditions, but are kept out: who is in first_choice, as it stands above second_choice"
        in preview
    )
    counts = [line.split() for line in preview.splitlines()]
    for line in (["members", "5"], ["would", "enter", "0"], ["would", "leave", "0"]):
        assert line in counts


def test_a_split_audience_remembers_who_is_in_which_variant(platform: Platform) -> None:
    dealt = dict(platform.rows("select profile_id, variant from audiences.offer"))
    assert dealt == {person: "a" if place("offer", person) < 5000 else "b" for person in dealt}
    assert set(dealt.values()) == {"a", "b"}
    held = "select profile_id, variant from audiences.{} where audience = 'offer'"
    for relation in ("current_members", "memberships", "changes"):
        assert dict(platform.rows(held.format(relation))) == dealt, relation
    shown = platform.cdp("audiences").stdout
    a = sum(variant == "a" for variant in dealt.values())
    assert ["offer", "a", str(a)] in [line.split()[:3] for line in shown.splitlines()]


def test_sizes_coverage_and_overlap_are_of_the_members(platform: Platform) -> None:
    members = platform.rows("select audience, profile_id from audiences.current_members")
    sizes = platform.rows("select audience, members, entered, exited from audiences.sizes")
    assert len(sizes) == len({audience for audience, *_ in sizes})
    assert AUDIENCES.keys() < {audience for audience, *_ in sizes}
    for audience, *counts in sizes:
        of_it = {person for name, person in members if name == audience}
        assert counts == [len(of_it), len(of_it), 0], audience
    coverage = {row[0]: row[1:] for row in platform.rows("from audiences.coverage")}
    assert coverage["offer"] == (15, 15, 0, 0)
    assert coverage["first_choice"] == (9, 7, 0, 0)
    overlap = {row[:2]: row[2:] for row in platform.rows("from audiences.overlap")}
    assert overlap["first_choice", "offer"] == (7, 7 / 9)
    assert overlap["offer", "first_choice"] == (7, 7 / 15)
    assert ("first_choice", "second_choice") not in overlap
