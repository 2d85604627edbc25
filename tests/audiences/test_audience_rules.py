"""`vars: audiences`: what is refused, with which words; and what lists, exclusion and splits come to in builds of dbt."""

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from cdp_orchestration.components.audience_metadata import JUMPS, about_all, audience_charts, with_jumps
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import reach_columns
from cdp_orchestration.project.audience_rules import (
    AudienceRules,
    audience_rules,
    check_circles,
    check_names_of_models,
    check_own_limits,
)
from tests.audiences.test_audiences import VARS
from tests.support.macros import rendered

AUDIENCES = Path("dbt_project/models/5_audiences")


def project(root: Path, rules: Any = None) -> Path:
    """A checkout that has the audiences a to d, an attribute, and these rules."""
    for file in [*(AUDIENCES / f"{name}.sql" for name in "abcd"), AUDIENCES / "about" / "sizes.sql",
                 Path("dbt_project/models/4_attributes/complained.sql")]:  # fmt: skip
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("select profile_id from x")
    (root / "dbt_project.yml").write_text(yaml.safe_dump({"vars": {"audiences": rules}}))
    return root


def test_rules_say_what_goes_before_an_audience(tmp_path: Path) -> None:
    rules = audience_rules(
        project(tmp_path, {"priority_lists": {"one": ["a", "b", "c"]}, "excluded": ["d", "complained"]})
    )
    excluded = dict.fromkeys(["d", "complained"], "its people are excluded from every audience")
    assert rules.before("a") == excluded
    assert rules.before("c") == {
        "a": "it stands above c in the priority list one", "b": "it stands above c in the priority list one", **excluded,
    }  # fmt: skip
    assert rules.before("d") == {}
    # The hook reads them alike.
    for name in "abcd":
        hooked = rendered("duckdb", "goes_before", name, context={"var": lambda *_: vars(rules)})
        assert hooked == list(rules.before(name)), name
    assert audience_rules(project(tmp_path)) == AudienceRules()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["a"], "must be a mapping of priority_lists, excluded, jump_percent, jump_from_members."),
        ({"exclude": ["a"]}, "exclude: is no rule. Known: priority_lists, excluded"),
        ({"priority_lists": ["a", "b"]}, "priority_lists: must name each list, as {winback: [vips"),
        ({"priority_lists": {"one": "a"}}, "priority_lists: one: must be a list of names"),
        (
            {"priority_lists": {"one": ["a", "z"]}},
            "priority_lists: one: there is no audience z. There are: a, b, c, d. Correct",
        ),
        ({"priority_lists": {"one": ["a", "sizes"]}}, "there is no audience sizes"),
        ({"priority_lists": {"one": ["a", "b", "a"]}}, "priority_lists: one: has a twice: take one out"),
        (
            {"priority_lists": {"one": ["a", "b"], "two": ["c", "b"]}},
            "two: b is in the list one already, and an audience can be",
        ),
        ({"priority_lists": {"one": ["a", "b"]}, "excluded": ["b"]}, "b is in `excluded`, too"),
        ({"excluded": "a"}, "excluded: must be a list of names"),
        ({"excluded": ["a", "a"]}, "excluded: has a twice"),
        (
            {"excluded": ["nobodies"]},
            "excluded: there is no model nobodies. Correct the name, or add the model nobodies.sql",
        ),
        ({"jump_percent": 0}, "jump_percent: must be a number above 0, or null for never, not 0"),
        ({"jump_percent": "50"}, "jump_percent: must be a number above 0"),
        ({"jump_from_members": None}, "jump_from_members: must be a number above 0, not None"),
        ({"jump_from_members": True}, "jump_from_members: must be a number above 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused_with_the_remedy(tmp_path: Path, rules: Any, words: str) -> None:
    with pytest.raises(NeedsAPerson) as refused:
        audience_rules(project(tmp_path, rules))
    assert str(refused.value).startswith("dbt_project.yml: vars: audiences: ")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("5_audiences/vip/a.sql", "5_audiences/vip/a.sql: two audiences of one name, the other is dbt_project/models/5_audiences/a.sql"),
        ("5_audiences/B.sql", "two audiences of one name"),
        ("4_attributes/c.sql", "5_audiences/c.sql: two models of one name, the other is dbt_project/models/4_attributes/c.sql: rename"),
    ],
)  # fmt: skip
def test_two_audiences_of_one_name_are_refused(tmp_path: Path, file: str, words: str) -> None:
    root = project(tmp_path)
    check_names_of_models(root)
    (root / "dbt_project/models" / file).parent.mkdir(exist_ok=True)
    (root / "dbt_project/models" / file).touch()
    with pytest.raises(NeedsAPerson) as refused:
        check_names_of_models(root)
    assert words in str(refused.value)


def manifest(meta: Any = None, **reads: str) -> dict[str, Any]:
    """Audiences, each with the letters of those that it reads; all read an attribute."""
    node = {"resource_type": "model", "config": {"meta": meta or {}}}
    nodes = {
        f"model.cdp.{name}": {
            **node, "name": name, "unique_id": f"model.cdp.{name}", "fqn": ["cdp", "5_audiences", name],
            "original_file_path": f"{AUDIENCES}/{name}.sql",
            "depends_on": {"nodes": ["model.cdp.value", "source.x", *(f"model.cdp.{other}" for other in others)]},
        }
        for name, others in reads.items()
    }  # fmt: skip
    value = {**node, "name": "value", "unique_id": "model.cdp.value", "fqn": ["cdp", "4_attributes", "value"],
             "original_file_path": "v.sql", "depends_on": {"nodes": []}}  # fmt: skip
    return {"nodes": {"model.cdp.value": value, **nodes}}


@pytest.mark.parametrize(
    ("reads", "rules", "words"),
    [
        ({"a": "a"}, {}, [f"{AUDIENCES}/a.sql reads a. Take"]),
        ({"a": "b", "b": "c", "c": "b"}, {}, [f"{AUDIENCES}/b.sql reads c; {AUDIENCES}/c.sql reads b. Take one of them out"]),
        ({"a": "b", "b": "a"}, {"priority_lists": {"one": ["a", "b"]}},
         [f"{AUDIENCES}/a.sql reads b; ", "b gives way to a, as it stands above b in the priority list one. Take"]),
        ({"a": "b", "b": "a"}, {"excluded": ["a"]},
         [f"{AUDIENCES}/a.sql reads b; dbt_project.yml: vars: audiences: b gives way to a, as its people are excluded",
          "can be in `excluded`, too."]),
    ],
)  # fmt: skip
def test_a_circle_of_audiences_is_told_step_by_step(
    reads: dict[str, str], rules: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(NeedsAPerson, match=r"^A circle: each of these needs the next one to be built first") as refused:
        check_circles(manifest(**reads), AudienceRules(**rules))
    for each in words:
        assert each in str(refused.value)


def test_audiences_that_share_what_they_read_are_no_circle() -> None:
    check_circles(manifest(a="bc", b="d", c="d", d=""), AudienceRules())


@pytest.mark.parametrize("meta", [{"audience": 3}, {"audience": {"jump": 3}}, {"audience": {"jump_percent": -1}}])
def test_a_limit_of_its_own_is_checked(meta: Any) -> None:
    check_own_limits(manifest({"audience": {"jump_percent": None}}, a=""))
    with pytest.raises(NeedsAPerson, match=f"^{AUDIENCES}/a.yml: config: meta: audience"):
        check_own_limits(manifest(meta, a=""))


def test_who_can_be_reached_how_is_read_alike() -> None:
    """The view audiences.coverage, and the verbs."""
    values = ["email", "phone", "ios_id", "user_id", "android_idfa", "anonymous_id"]
    given = f"(values {', '.join(f'({v!r})' for v in values)}) as v (identifier_type)"
    context = {"var": VARS.__getitem__, "modules": __import__("types").SimpleNamespace(re=__import__("re"))}
    columns = [rendered("duckdb", "reach_columns", context=context), reach_columns(VARS["identity"])]
    view, verbs = (
        duckdb.execute(f"select identifier_type, {each} from {given} group by 1 order by 1").fetchall()
        for each in columns
    )
    assert view == verbs
    assert {row[0]: row[1:] for row in view}["android_idfa"] == (0, 0, 1)


SIZES = """
create schema staging; create schema audiences;
create table staging.current_build as select 'b2' as build_id, timestamp '2026-11-02' as as_of;
create table audiences.sizes as select * from (values
    ('vips', 200, 200, 0, 1.0, timestamp '2026-11-01', 'b1'), ('vips', 50, 0, 150, 3.0, timestamp '2026-11-02', 'b2'),
    ('news', 0, 0, 0, null, timestamp '2026-11-02', 'b2'))
    as v (audience, members, entered, exited, volatility, "at", build_id);
create table audiences.current_members as select * from (values ('vips', 'a'), ('news', 'a')) as v (audience, profile_id);
create table audiences.overlap as select 'news' as audience_a, 'vips' as audience_b, 0.25 as share_of_a
    union all select 'vips', 'news', 1.0;
"""


def test_dagster_shows_sizes_and_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute(SIZES)
        charts: Any = audience_charts(warehouse)  # type: ignore[arg-type]
        matrix: Any = about_all(warehouse, "overlap")  # type: ignore[arg-type]
    assert {name: {key: value for key, value in found.items() if key != "last builds"} for name, found in charts.items()} == {
        "vips": {"members": 50, "entered": 0, "exited": 150, "volatility": 3.0}, "news": {"members": 0, "entered": 0, "exited": 0},
    }  # fmt: skip
    assert charts["vips"]["last builds"].value.splitlines()[2:] == [
        "| 2026-11-02 00:00:00 | 50 | █████ | 0 | 150 |",
        "| 2026-11-01 00:00:00 | 200 | ████████████████████ | 200 | 0 |",
    ]
    assert matrix["overlap"].value.splitlines() == [
        "| of, in | news | vips |", "| --- | --- | --- |", "| news |  | 25% |", "| vips | 100% |  |",
    ]  # fmt: skip
    asked = tmp_path / "target" / "compiled" / "cdp" / f"{JUMPS}.sql"
    asked.parent.mkdir(parents=True)
    asked.write_text(compiled_jumps())
    early = dg.AssetCheckResult(passed=True, check_name=JUMPS, asset_key=["audiences", "sizes"])
    other = dg.AssetCheckResult(passed=True, check_name="sizes_holds", asset_key=["audiences", "sizes"])
    told = list(with_jumps([other, early], Home(tmp_path), tmp_path / "target"))
    assert told[0] is other
    assert (told[1].passed, told[1].severity, told[1].check_name) == (False, dg.AssetCheckSeverity.WARN, JUMPS)
    words = "audience vips: 50 members, and 200 a day before: it moved by more than 50 %. Where that is as it should be, raise "
    assert told[1].description is not None
    assert told[1].description.startswith(words)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [told[1].description]
    # Where only a part was built, dbt asked nothing.
    assert list(with_jumps([early], Home(tmp_path), tmp_path / "elsewhere")) == [early]


def compiled_jumps() -> str:
    from tests.audiences.test_splits import context

    return str(rendered("duckdb", "audience_jumps", "audiences.sizes", context=context("duckdb")))
