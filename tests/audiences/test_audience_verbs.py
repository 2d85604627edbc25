"""`cdp audiences`, `cdp export` and `cdp preview` over a small warehouse, made by hand on each engine."""

import csv
import json
import shutil
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration import disk
from cdp_orchestration import export as exporting
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import masked, types_that_reach
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.queries import preview as previewing
from cdp_orchestration.queries.answers import Rows
from cdp_orchestration.queries.audiences import COLUMNS, audiences
from cdp_orchestration.warehouse import Warehouse
from tests.conftest import connect
from tests.support.harness import PROJECT, Platform

RELATIONS = """
create schema staging; create schema identity; create schema attributes; create schema audiences;
create table staging.builds as select 'b3' as build_id;
create table staging.current_build as select 'b3' as build_id, timestamp '2026-11-10 12:00:00' as as_of;
create table identity.identifiers (identifier_type text, identifier_value text, profile_id text);
insert into identity.identifiers values
    ('email', 'ann@mail.example', 'a'), ('email', 'a@work.example', 'a'), ('phone', '351912000118', 'a'),
    ('user_id', '=1+1', 'b'), ('email', 'bob@mail.example', 'b'), ('android_idfa', 'b-phone', 'b'),
    ('user_id', 'c@mail.example', 'c'), ('anonymous_id', 'browser', 'd'), ('ios_id', 'd-1', 'd'), ('ios_id', 'd-2', 'd');
create table attributes.lifetime_value (profile_id text, lifetime_value_usd double precision, last_order_at timestamp);
insert into attributes.lifetime_value values
    ('a', 2000, timestamp '2026-09-01'), ('b', 1999.99, timestamp '2026-09-11 12:00:00'), ('c', 5000, timestamp '2026-10-01'),
    ('d', 2500, timestamp '2026-10-01');
create table audiences.vips (profile_id text);
create table audiences.lapsing_customers (profile_id text);
create table audiences.newsletter_subscribers (profile_id text);
create table audiences.changes (audience text, profile_id text, change text, variant text, "at" timestamp, build_id text);
insert into audiences.changes values
    ('vips', 'a', 'entered', null, timestamp '2026-10-01', 'b1'), ('vips', 'z', 'entered', null, timestamp '2026-10-01', 'b1'),
    ('vips', 'e', 'entered', null, timestamp '2026-11-09 12:00:00', 'b1'),
    ('vips', 'b', 'entered', null, timestamp '2026-11-09 12:00:01', 'b2'),
    ('vips', 'c', 'entered', null, timestamp '2026-11-10 12:00:00', 'b3'),
    ('vips', 'z', 'exited', null, timestamp '2026-11-10 12:00:00', 'b3'),
    ('lapsing_customers', 'a', 'entered', null, timestamp '2026-10-01', 'b1'),
    ('lapsing_customers', 'd', 'entered', null, timestamp '2026-10-01', 'b1');
create table audiences.sizes (audience text, members bigint, entered bigint, exited bigint, "at" timestamp, build_id text);
insert into audiences.sizes values
    ('vips', 2, 2, 0, timestamp '2026-10-01', 'b1'), ('vips', 3, 1, 0, timestamp '2026-11-09 12:00:00', 'b1'),
    ('vips', 4, 1, 0, timestamp '2026-11-09 12:00:01', 'b2'), ('vips', 4, 1, 1, timestamp '2026-11-10 12:00:00', 'b3'),
    ('lapsing_customers', 2, 2, 0, timestamp '2026-10-01', 'b1'), ('lapsing_customers', 2, 0, 0, timestamp '2026-11-10 12:00:00', 'b3');
create table audiences.current_members as
    select audience, profile_id, variant, "at" as entered_at, build_id from audiences.changes
    where change = 'entered' and profile_id <> 'z';
"""
TABLES = ["staging.current_build", "identity.identifiers", "attributes.lifetime_value", "audiences.vips", "audiences.changes",
          "audiences.current_members", "audiences.lapsing_customers"]  # fmt: skip
NOON = datetime(2026, 11, 10, 12)


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The warehouse, and a parse of the project."""
    engine = request.getfixturevalue("postgres") if request.param == "postgres" else {}
    platform = Platform(tmp_path_factory.mktemp(request.param) / "home", engine=engine)
    platform.root.mkdir()
    if engine:
        with closing(connect(engine, engine["PGDATABASE"])) as connection, connection.cursor() as cursor:
            cursor.execute(RELATIONS)
    else:
        with duckdb.connect(str(platform.root / "warehouse.duckdb")) as connection:
            connection.execute(RELATIONS)
    assert "Audiences" in platform.cdp("audiences").stdout
    return platform


@pytest.fixture
def home(made: Platform, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home, for a question of this process."""
    for name, value in {**made.engine, "CDP_HOME": str(made.root)}.items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(made.root / "exports", ignore_errors=True)
    return Home(made.root)


def everything(platform: Platform) -> dict[str, Any]:
    there = platform.rows("select table_schema, table_name from information_schema.tables where table_schema not in "
                          "('pg_catalog', 'information_schema') order by 1, 2")  # fmt: skip
    return {"there": there, **{table: sorted(platform.rows(f"select * from {table}"), key=str) for table in TABLES}}


def table(answers: list[Any], title: str) -> list[tuple[Any, ...]]:
    [found] = [answer for answer in answers if isinstance(answer, Rows) and answer.title == title]
    return [tuple(row) for row in found.rows]


def test_audiences_are_counted(home: Home) -> None:
    answers = list(audiences(home))
    lines = {row[0]: dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in table(answers, "Audiences")}
    assert lines == {
        "lapsing_customers": {"members": 2, "entered": 0, "left": 0, "entered 24 h": 0, "left 24 h": 0, "volatility 24 h": 0,
                              "email": 1, "phone": 1, "device": 1, "last changed": datetime(2026, 10, 1)},
        "newsletter_subscribers": {"members": 0, "entered": 0, "left": 0, "entered 24 h": 0, "left 24 h": 0, "volatility 24 h": None,
                                   "email": 0, "phone": 0, "device": 0, "last changed": None},
        # e entered 24 h before, to the second, and does not count; of the emails a has two.
        "vips": {"members": 4, "entered": 1, "left": 1, "entered 24 h": 2, "left 24 h": 1, "volatility 24 h": 0.75,
                 "email": 2, "phone": 1, "device": 1, "last changed": NOON},
    }  # fmt: skip
    assert any(
        "Not built yet: big_searchers, birthdays_this_week, cart_abandoners, " in answer
        for answer in answers
        if isinstance(answer, str)
    )


def test_overlap_counts_members_of_both(home: Home) -> None:
    assert table(list(audiences(home, overlap=True)), "Members of both") == [
        ("lapsing_customers", 2, 0, 1),
        ("newsletter_subscribers", 0, 0, 0),
        ("vips", 1, 0, 4),
    ]


def test_where_nothing_is_built_audiences_say_so(tmp_path: Path) -> None:
    empty = Platform(tmp_path / "home")
    done = empty.cdp("audiences", "--overlap")
    assert done.returncode == 0, done.stderr
    assert "run `cdp run`" in done.stdout
    duckdb.connect(str(empty.root / "warehouse.duckdb")).close()  # a build that failed at once
    done = empty.cdp("audiences", "--overlap")
    assert done.returncode == 0, done.stderr
    assert "Not built yet: big_searchers, birthdays_this_week, cart_abandoners, " in done.stdout


def exported(home: Home, with_pii: bool) -> list[list[str]]:
    with open(exporting.export(home, "vips", with_pii).file, newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("with_pii", [False, True])
def test_an_export_has_a_row_per_identity_and_masks_unless_asked(home: Home, with_pii: bool) -> None:
    entered = {
        "a": "2026-10-01T00:00:00Z",
        "b": "2026-11-09T12:00:01Z",
        "c": "2026-11-10T12:00:00Z",
        "e": "2026-11-09T12:00:00Z",
    }
    expected = [
        ("a", "email", "a@work.example", "a…@work.example"),
        ("a", "email", "ann@mail.example", "a…@mail.example"),
        ("a", "phone", "351912000118", "…18"),
        ("b", "android_idfa", "b-phone", "b-phone"),
        ("b", "email", "bob@mail.example", "b…@mail.example"),
        ("b", "user_id", "'=1+1", "'=1+1"),
        ("c", "user_id", "c@mail.example", "c…@mail.example"),
        ("e", "", "", ""),
    ]
    columns, *rows = exported(home, with_pii)
    assert columns == ["profile_id", "entered_at", "identifier_type", "identifier_value"]
    assert rows == [[who, entered[who], kind, plain if with_pii else shown] for who, kind, plain, shown in expected]
    assert exported(home, with_pii) == [columns, *rows]


def test_every_export_is_logged_and_none_replaces_another(home: Home, made: Platform) -> None:
    assert made.cdp("export", "vips").returncode == 0
    log = home.exports / "log.jsonl"
    with open(log, "ab") as file:
        file.write(b'{"torn')
    exporting.export(home, "lapsing_customers", with_pii=True)
    first, torn, second = log.read_text().splitlines()
    assert torn == '{"torn'
    entries = [json.loads(first), json.loads(second)]
    shown = [{key: entry[key] for key in ("audience", "rows", "members", "with_pii")} for entry in entries]
    assert shown == [
        {"audience": "vips", "rows": 8, "members": 4, "with_pii": False},
        {"audience": "lapsing_customers", "rows": 6, "members": 2, "with_pii": True},
    ]
    assert all(entry["who"] and entry["when"].endswith("Z") for entry in entries)
    files = {home.root / entry["file"] for entry in entries}
    assert files == set(home.exports.glob("*.csv"))
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_the_log_has_its_line_before_the_file_has_its_name(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(hidden: Path, file: Path) -> None:
        assert Path(hidden).read_bytes().count(b"\n") == 9, "and what it is about is whole"
        assert file.name in (home.exports / "log.jsonl").read_text()
        raise KeyboardInterrupt

    monkeypatch.setattr(disk.os, "replace", power_cut)
    with pytest.raises(KeyboardInterrupt):
        exporting.export(home, "vips")
    assert [file.name for file in home.exports.glob("*vips*")] + [*home.exports.glob("*.tmp")] == []


def test_an_export_that_breaks_off_leaves_no_file_and_no_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(*values: Any, **more: Any) -> bytes:
        raise OSError("broken")

    home.exports.mkdir()
    (home.exports / ".vips-1.csv.tmp").write_text("of an export that was killed")
    monkeypatch.setattr(exporting, "line", torn)
    with pytest.raises(OSError, match="broken"):
        exporting.export(home, "vips")
    assert [file.name for file in home.exports.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("name", "told"),
    [("nobodies", "There are: lapsing_customers, newsletter_subscribers, vips."), ("cart_abandoners", "is not built yet"),
     ("changes", "there is no such audience"), ("../vips", "there is no such audience")],
)  # fmt: skip
def test_an_unknown_audience_is_refused(home: Home, name: str, told: str) -> None:
    with pytest.raises(NeedsAPerson, match=told.replace(".", "[.]")):
        exporting.export(home, name)
    assert not home.exports.exists()


def test_rows_are_fetched_in_portions(home: Home, made: Platform) -> None:
    with Warehouse(home).reading() as connection:
        series = "generate_series(1, ?)" if made.engine else "range(?)"
        portions = connection.portions(f"select '%', 1 from {series} as t", [25_000])
        assert len(next(portions)) == 10_000
        if made.engine:  # the server keeps what is not fetched yet
            assert connection.execute("select count(*) from pg_cursors").fetchone() == (1,)
        assert [len(portion) for portion in portions] == [10_000, 5_000]


def test_a_text_with_a_question_mark_is_no_parameter(home: Home) -> None:
    with Warehouse(home).reading() as connection:
        assert connection.execute("select '?%'").fetchall() == [("?%",)]


def test_preview_tells_who_would_enter_and_leave_and_changes_nothing(made: Platform) -> None:
    before = everything(made)
    done = made.cdp("preview", "vips")
    assert done.returncode == 0, done.stderr
    counts = dict(
        line.rsplit(maxsplit=1)
        for line in done.stdout.splitlines()
        if line and line[-1].isdecimal() and "@" not in line
    )
    assert counts == {"members": "3", "members as last built": "4", "would enter": "1", "would leave": "2",
                      "of the members with an email": "1", "with a phone": "1", "with a device id": "1"}  # fmt: skip
    assert "email=a…@mail.example" in done.stdout or "email=a…@work.example" in done.stdout
    for secret in ("ann@", "351912000118", "c@mail"):
        assert secret not in done.stdout
    assert "as of 2026-11-10 12:00:00" in done.stdout
    assert everything(made) == before
    assert not list(made.root.glob("preview-*"))


@pytest.mark.parametrize(
    ("name", "told"),
    [("nobodies", "There are: big_searchers, birthdays_this_week, cart_abandoners, "), ("cart_abandoners", "reads what is not built yet: profiles.events, profiles.profiles.")],
)  # fmt: skip
def test_what_cannot_be_previewed_is_said(made: Platform, name: str, told: str) -> None:
    done = made.cdp("preview", name)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


DRAFT = """\
-- It's a draft?
select profile_id
from attributes.lifetime_value
where '?' <> '%s' and lifetime_value_usd >= 2500
union all
select null
union all
select 'a'
union all
select 'a' -- it's twice"""


def test_a_draft_that_its_check_would_refuse_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the warehouse answers it; what dbt makes of a model is taken for granted here."""
    monkeypatch.setattr(previewing, "compiled", lambda home, models: {models[0]["name"]: DRAFT})
    answers = list(previewing.preview(home, "vips"))
    assert dict(table(answers, "Preview"))["members"] == 3
    assert [(who, enters) for who, _, enters in table(answers, "A sample")] == [("a", False), ("c", False), ("d", True)]
    said = " ".join(answer for answer in answers if isinstance(answer, str))
    assert "Rows without a profile_id: 1." in said
    assert "4 rows for 3 people" in said


def test_a_draft_that_the_warehouse_refuses_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        previewing,
        "compiled",
        lambda home, models: {models[0]["name"]: "select shoe_size from attributes.lifetime_value"},
    )
    with pytest.raises(NeedsAPerson, match=r"vips[.]sql: the warehouse refuses it(.|\n)*shoe_size"):
        list(previewing.preview(home, "vips"))


def project(folder: Path) -> Path:
    """A copy of the checkout, to add something to."""
    copy = folder / "project"
    for name in ("cdp_orchestration", "dbt_project", "profiles"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dbt_project.yml", "pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, copy / name)
    return copy


def test_no_preview_makes_a_warehouse(tmp_path: Path) -> None:
    empty = Platform(tmp_path / "home")
    done = empty.cdp("preview", "vips")
    assert done.returncode == 1
    assert "Nothing is built yet" in done.stderr
    assert not (empty.root / "warehouse.duckdb").exists()


def test_what_is_masked_and_what_reaches_a_person_the_rules_say() -> None:
    rules = {"identifiers": {"mail": {"normalise": "email"}, "mobile": {"normalise": "phone"}, "user_id": {}, "device_id": {},
                             "radios": {}, "idfa": {"normalise": "lower"}}}  # fmt: skip
    assert types_that_reach(rules) == {"email": ["mail"], "phone": ["mobile"], "device": ["device_id", "idfa"]}
    shown = [masked(rules, *each) for each in (("mail", "j@x.example"), ("mail", '"a@b"@x.example'), ("mobile", "1234"),
             ("mobile", "351912000118"), ("user_id", "C-7"), ("user_id", "jo@x.example"), ("gone", "@x"))]  # fmt: skip
    assert shown == ["j…@x.example", '"…@x.example', "…", "…18", "C-7", "j…@x.example", "x…@x"]
    assert types_that_reach(identity_rules())["device"] == ["android_id", "ios_id", "android_idfa", "ios_idfa"]
