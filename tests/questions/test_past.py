"""Parts of `cdp at` and `cdp audience-diff` without a build: landing and moments of the past, comparing, and cleaning up."""

import io
import json
import re
import secrets
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from cdp_orchestration.cli.tables import as_json
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.errors import CdpError, NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.landing.snapshot import snapshot
from cdp_orchestration.project import revisions
from cdp_orchestration.project.dbt_process import WarmDbt
from cdp_orchestration.project.manifest import observing
from cdp_orchestration.queries import audience_diff
from cdp_orchestration.queries.audience_diff import Moved, Side, over
from cdp_orchestration.scratch import Moment, Project, databases, moment, scratch_warehouse
from tests.conftest import connect
from tests.landing.kept import STREAMS, Kept, compact, views


def test_a_snapshot_holds_what_had_landed_up_to_each_batch(tmp_path: Path) -> None:
    """Of batches that are in their own file, compacted ones, and ones that go on in the next compacted file."""
    kept = Kept(tmp_path / "home")
    for number, size in enumerate((3, 25, 1, 12, 2, 7)):
        kept.land(size, STREAMS[number % 2])
        if number == 3:
            compact(kept, most=10)
    manifests = {manifest["batch_seq"]: manifest for manifest in kept.manifests}
    for through in range(1, 7):
        home = Home(tmp_path / f"through{through}")
        landing = snapshot(kept.landing, home.landing, through)
        assert [batch.batch_seq for batch in landing.batches()] == list(range(1, through + 1))
        for batch in landing.batches():
            assert (
                sum(part.num_rows for part in batch.parts()) == batch.records == manifests[batch.batch_seq]["records"]
            )
        for stream in STREAMS:
            landing.prepare(*stream)
        if through not in (2, 3, 5):
            continue
        Ledger(home.deliveries).prepare()
        with views(home, ":memory:") as connection:
            for stream in STREAMS:
                rows = f"select _batch_seq, _record_no, _payload from landing.{'__'.join(stream)} order by 1, 2"
                assert connection.execute(rows).fetchall() == [row for row in kept.records[stream] if row[0] <= through]
            batches = connection.execute("select batch_seq from landing._batches order by 1").fetchall()
            assert batches == [(seq,) for seq in range(1, through + 1)]


def test_a_snapshot_stays_whole_when_what_it_was_made_from_goes(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "home")
    kept.land(3)
    landing = snapshot(kept.landing, tmp_path / "snapshot", 1)
    [original], [named_again] = kept.landing.live(*STREAMS[0])[-1:], landing.live(*STREAMS[0])
    assert original.stat().st_ino == named_again.stat().st_ino, "it is no copy"
    original.unlink()
    assert pq.read_table(named_again).num_rows == 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three batches, and two builds that had read one, and two of them."""
    kept = Kept(tmp_path_factory.mktemp("home"))
    for _ in range(3):
        kept.land(1)
    with duckdb.connect(str(kept.home.warehouse)) as connection:
        connection.execute("create schema staging")
        connection.execute("""create table staging.builds as select * from (values
            (timestamp '2026-10-01', 1, timestamp '2026-11-20'), (timestamp '2026-11-01 12:00', 2, timestamp '2026-11-21')
        ) as built(as_of, through_batch_seq, started_at)""")  # fmt: skip
    return kept.home


OCTOBER, NOVEMBER = datetime(2026, 10, 1), datetime(2026, 11, 1, 12)


@pytest.mark.parametrize(
    ("as_of", "through", "expected"),
    [
        ("2026-10-01", None, ("2026-10-01 00:00:00.000000", 1, OCTOBER)),
        ("2026-11-01T11:59:59.999999", None, ("2026-11-01 11:59:59.999999", 1, OCTOBER)),
        ("2026-11-01T13:00:00+01:00", None, ("2026-11-01 12:00:00.000000", 2, NOVEMBER)),
        ("2026-11-15", None, ("2026-11-15 00:00:00.000000", 2, NOVEMBER)),
        ("2026-09-01", 3, ("2026-09-01 00:00:00.000000", 3, None)),
        (None, None, ("2026-11-01 12:00:00.000000", 2, NOVEMBER)),
    ],
)  # fmt: skip
def test_a_moment_reads_as_far_as_the_last_build_until_then(
    home: Home, as_of: str | None, through: int | None, expected: tuple[str, int, datetime | None]
) -> None:
    assert moment(home, as_of, through) == Moment(*expected)


@pytest.mark.parametrize(
    ("as_of", "through", "told"),
    [
        ("2026-09-30", None, "No build speaks for 2026-09-30 00:00:00 .*the first was of 2026-10-01 00:00:00.*--through SEQ"),
        ("2200-01-01", None, "2200-01-01 00:00:00 lies ahead"),
        ("2026-10-01", 4, "--through 4: batches are numbered from 1 to 3"),
        ("2026-10-01", 0, "--through 0: "),
        ("yesterday", None, "'yesterday' is not an ISO 8601 time"),
    ],
)  # fmt: skip
def test_a_moment_of_which_nothing_is_known_is_refused(home: Home, as_of: str, through: int | None, told: str) -> None:
    with pytest.raises(NeedsAPerson, match=told):
        moment(home, as_of, through)


def test_where_nothing_is_built_a_diff_reads_all_that_landed_and_a_past_day_needs_a_batch(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    with pytest.raises(NeedsAPerson, match="Nothing has landed"):
        moment(kept.home, None, None)
    kept.land(1)
    assert moment(kept.home, None, None).through == 1
    with pytest.raises(NeedsAPerson, match="nothing is built yet"):
        moment(kept.home, "2026-10-01", None)


class FailingDbt:
    """Instead of WarmDbt: a command that ends with an error, and what it was asked."""

    def start(self, args: list[str], env: dict[str, str], cwd: Path, parsed: Path | None = None) -> "FailingDbt":
        self.home, self.as_of = Path(env["CDP_HOME"]), env["CDP_AS_OF"]
        self.stdout = io.BytesIO(b"Runtime Error in model vips: no such column")
        assert (self.home / "scratch.json").exists()
        return self

    def wait(self) -> int:
        return 1


def test_a_build_that_fails_is_told_and_leaves_nothing_and_neither_does_one_that_was_killed(home: Home) -> None:
    dead = home.root / "scratch" / "cdp_scratch_0123456789ab"
    dead.mkdir(parents=True)
    dbt, project = FailingDbt(), Project(PROJECT_ROOT, Path("unread"), {"sources": {}})
    then, told = moment(home, "2026-10-01", None), r"could not be built[.] dbt says:\nRuntime Error in model vips"
    with (
        pytest.raises(CdpError, match=told),
        scratch_warehouse(home, then, ["vips"], cast(WarmDbt, dbt), project),
    ):
        pytest.fail("nothing was built")
    assert dbt.home.parent == home.root / "scratch"
    assert not dbt.home.exists()
    assert dbt.as_of == "2026-10-01 00:00:00.000000"
    assert not dead.exists()
    assert len(Landing(home.landing).batches()) == 3


def test_a_scratch_database_sorts_as_the_real_one_and_needs_the_right_to_make_one(
    postgres: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in postgres.items():
        monkeypatch.setenv(variable, value)
    name = f"cdp_scratch_{secrets.token_hex(6)}"
    looks = "select to_jsonb(known) - array['oid', 'datname', 'datacl', 'datfrozenxid', 'datminmxid'] from pg_database as known where datname = %s"
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:

        def looked_up(database: str) -> list[tuple[Any, ...]]:
            cursor.execute(looks, [database])
            return cursor.fetchall()

        databases.make(name)
        assert looked_up(name) == looked_up(postgres["PGDATABASE"]) != []
        for _ in range(2):
            databases.drop(name)
            assert looked_up(name) == []
        databases.drop(postgres["PGDATABASE"])
        assert looked_up(postgres["PGDATABASE"]), "only what is a scratch database by its name"
        role = f"limited_{secrets.token_hex(6)}"
        cursor.execute(f"create role {role} login password %s", [postgres["PGPASSWORD"] or "any"])
        try:
            monkeypatch.setenv("PGUSER", role)
            with pytest.raises(NeedsAPerson, match=f'alter role "{role}" createdb'):
                databases.make(name)
        finally:
            cursor.execute(f"drop role {role}")


def test_an_engine_that_cannot_make_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_TARGET", "snowflake")
    with pytest.raises(NeedsAPerson, match="no warehouse of the past can be built there yet"):
        databases.make("cdp_scratch_0123456789ab")


def side(names: list[str], *members: tuple[str, str, str | None]) -> Side:
    columns = [pa.array([member[place] for member in members], pa.string()) for place in range(3)]
    return Side(
        "", names, set(), None, pa.table(dict(zip(("audience", "profile_id", "variant"), columns, strict=True)))
    )


def test_adds_drops_and_other_variants_are_counted_per_audience() -> None:
    before = side(["gone", "kept"], ("gone", "a", None), *(("kept", who, "A") for who in "abcd"))
    after = side(["kept", "new"], ("kept", "a", "A"), ("kept", "b", "B"), ("kept", "x", "A"), ("new", "a", None))
    moved = audience_diff._moved(before, after)
    assert moved == [
        Moved("gone", (True, False), 1, 0, 0, 1, 0),
        Moved("kept", (True, True), 4, 3, 1, 2, 1),
        Moved("new", (False, True), 0, 1, 1, 0, 0),
    ]
    assert [one.percent for one in moved] == [100, 75, 0]
    assert [sentence.split(":")[0] for sentence in over(moved, 75)] == ["gone"]
    table = audience_diff._table(moved)
    assert table.columns[-1] == "in another variant"
    assert table.rows[1] == ("kept", "", 4, 3, 1, 2, 2, 1)
    printed = json.loads(as_json(["from … to …", table]))
    assert printed["notes"] == ["from … to …"]
    assert printed["tables"]["Audiences"][0] == {"audience": "gone", "status": "removed", "before": 1, "after": 0, "adds": 0,
                                                 "drops": 1, "unchanged": 0, "in another variant": 0}  # fmt: skip
    assert Moved("was_empty", (True, True), 0, 1, 1, 0, 0).percent == 100
    assert Moved("is_empty", (True, True), 0, 0, 0, 0, 0).percent == 0


def test_what_reads_an_audience_that_asks_what_builds_saw_depends_on_it_too() -> None:
    def node(name: str, *reads: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
        return {"name": name, "resource_type": "model", "fqn": ["cdp", "5_audiences", name], "tags": list(tags),
                "depends_on": {"nodes": list(reads)}}  # fmt: skip

    nodes = {
        "a": node("a"),
        "b": node("b", "a", tags=("depends_on_observations",)),
        "c": node("c", "b"),
        "d": node("d", "a", "c"),
        "e": node("e", "a"),
    }
    assert observing({"nodes": nodes}) == {"b", "c", "d"}


def test_a_revision_that_git_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "PROJECT_ROOT", tmp_path)
    with pytest.raises(NeedsAPerson, match="is in no git repository"):
        revisions.commit_of("main", "--base")
    assert revisions._git("init", "--quiet").returncode == 0
    for revision in ("main", "--help", "HEAD:dbt_project.yml"):
        with pytest.raises(NeedsAPerson, match=f"--base {revision}: git knows no such revision"):
            revisions.commit_of(revision, "--base")
    identity = ("-c", "user.name=t", "-c", "user.email=t@x.example", "-c", "commit.gpgsign=false")
    assert revisions._git(*identity, "commit", "--quiet", "--allow-empty", "--message", "empty").returncode == 0
    commit = revisions.commit_of("HEAD", "--base")
    with pytest.raises(NeedsAPerson, match=r"has no dbt_project[.]yml and dbt_project"):
        revisions.revision_project(Home(tmp_path), commit, tmp_path / "out", cast(WarmDbt, None))


def test_the_workflow_in_the_docs_is_one_and_asks_what_there_is() -> None:
    text = (PROJECT_ROOT / "docs" / "audience-diff.md").read_text()
    [block] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    workflow = yaml.load(block, yaml.BaseLoader)  # else the key `on` is a boolean
    assert workflow["on"] == "pull_request"
    steps = workflow["jobs"]["audience-diff"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == "0"
    from cdp_orchestration.cli import main

    commands = [line.split() for step in steps for line in step.get("run", "").splitlines() if ".venv/bin/cdp" in line]
    commands += [line.split("#")[0].split() for line in text.splitlines() if line.startswith("cdp ")]
    assert len(commands) == 5
    for _, verb, *arguments in commands:
        options = {option for parameter in main.commands[verb].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options, verb
