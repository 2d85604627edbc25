"""A build's checks look at what the build brought, unless they did not pass in the build before it."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.landing.records import Page, Record
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.queries.data_checks import DataChecks, check_data, results
from tests.builds.test_promises import GOOD
from tests.identity.test_identity import copy_of_the_project
from tests.support.harness import PROJECT, Platform, dbt
from tests.support.macros import rendered


class Staging:
    """A home of which each build builds staging alone."""

    def __init__(self, root: Path) -> None:
        self.platform = Platform(root)
        self.builds = 0
        self.project = PROJECT

    def land(self, message_id: str) -> None:
        event = {
            "type": "track",
            "event": "Trip Searched",
            "messageId": message_id,
            "anonymousId": "a",
            "timestamp": "2026-10-01T10:00:00Z",
        }
        Landing(self.platform.root / "landing").land("web", "events", [Page([Record(json.dumps(event))], {})])

    def build(self, *arguments: str) -> tuple[str, str]:
        """What dbt said of the check of what was refused, and what the check asked."""
        self.builds += 1
        done = dbt(self.project, self.platform.root, "build", "--select", "1_staging", "--exclude-resource-type", "unit_test",
                   *arguments, CDP_BUILD_ID=f"build-{self.builds}", CDP_AS_OF=f"2026-11-{self.builds:02}", **self.platform.engine)  # fmt: skip
        [verdict] = [
            line
            for line in done.stdout.splitlines()
            if "refused_holds" in line and "START" not in line and " of " in line
        ]
        [asked] = self.platform.root.glob("dbt/compiled/**/refused_holds.sql")
        return verdict, asked.read_text()

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.platform.root / "warehouse.duckdb")) as connection:
            connection.execute(sql)


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    """Two builds, of which the second looked at its own rows alone."""
    made = Staging(tmp_path_factory.mktemp("checks"))
    loaded = made.platform.cdp("load")
    assert loaded.returncode == 0, loaded.stderr
    made.land("m1")
    verdict, asked = made.build()
    assert "PASS" in verdict
    assert "as ours" not in asked
    assert "batch_seq >=" not in asked, "the first build has nothing to compare with"
    made.land("m2")
    verdict, asked = made.build()
    assert "PASS" in verdict
    assert "batch_seq >=" in asked
    return made


NONSENSE = "(batch_id, record_no, source, stream, scope, reason, batch_seq) values ('b', 0, 'web', 'events', 'nonsense', 'r', {})"


def test_a_failed_check_looks_at_everything_until_it_passes(staging: Staging) -> None:
    # As this build would write it, if a model were wrong.
    staging.execute(f"insert into staging.refused {NONSENSE.format(99)}")
    staging.land("m3")
    assert "FAIL" in staging.build()[0]
    staging.execute("update staging.refused set batch_seq = 1 where scope = 'nonsense'")
    staging.land("m4")
    verdict, asked = staging.build()
    assert "FAIL" in verdict, "the build brought nothing wrong, but what failed before is still there"
    assert "batch_seq >=" not in asked
    staging.execute("delete from staging.refused where scope = 'nonsense'")
    assert "PASS" in staging.build()[0]


def test_on_demand_everything_is_looked_at(staging: Staging) -> None:
    """`cdp check --data` finds what a build no longer looks at, and what it finds the next builds look for."""
    staging.execute(f"insert into staging.refused {NONSENSE.format(1)}")
    verdict, asked = staging.build()
    assert "PASS" in verdict
    assert "batch_seq >=" in asked
    checked = staging.platform.cdp("check", "--data")
    assert checked.returncode == 1
    assert "refused_holds: accepted_values(scope) by 1" in checked.stderr
    assert "FAIL" in staging.build()[0]


def test_a_check_that_was_changed_looks_at_everything_once(staging: Staging, tmp_path: Path) -> None:
    """A promise that is added later holds of earlier rows, too, or it is told."""
    staging.execute("delete from staging.refused where scope = 'nonsense'")
    assert "PASS" in staging.build()[0]
    assert "batch_seq >=" in staging.build()[1]
    staging.project = copy_of_the_project(tmp_path / "project")
    twin = staging.project / "dbt_project/models/1_staging/refused.yml"
    twin.write_text(twin.read_text().replace("never_null: [batch_id,", "never_null: [payload, batch_id,"))
    verdict, asked = staging.build()
    assert "PASS" in verdict
    assert "batch_seq >=" not in asked


def test_before_the_first_build_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(NeedsAPerson, match="Nothing is built yet"):
        check_data(Home(tmp_path))


ROWS = {"never_null": ["kind"], "unique": ["id", ["kind", "place"]], "accepted_values": {"kind": ["a", "b"]}}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["(9, 'a', 9, true, 'p')"], {}),
        (["(1, 'a', 9, true, 'p')"], {"unique(id)": 1}),  # it collides with an earlier row
        (["(9, 'a', 9, true, 'p')", "(9, 'b', 9, true, 'p')"], {"unique(id)": 1}),
        (["(9, 'b', 2, true, 'p')"], {"unique(kind, place)": 1}),
        (["(9, 'z', 9, true, 'p')"], {"accepted_values(kind)": 1}),
        (["(9, null, 9, true, 'p')"], {"never_null(kind)": 1}),
    ],
)
def test_rows_of_this_build_are_held_against_all(rows: list[str], told: dict[str, int]) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create table held (id integer, kind text, place integer, decides boolean, person text, build integer)"
        )
        # Among the earlier ones are those that break each promise.
        earlier = [*GOOD, "(4, null, 5, true, 'p')", "(5, 'z', 5, true, 'p')", "(5, 'z', 5, true, 'p')"]
        for build, each in ((1, earlier), (2, rows)):
            connection.execute(f"insert into held select *, {build} from (values {', '.join(each)}) as told")
        asked: Any = rendered("duckdb", "broken_promises", "held", **ROWS, this_build="build = 2")
        assert dict(connection.execute(asked).fetchall()) == told


def test_what_dbt_says_of_its_tests_is_read() -> None:
    lines = [
        '{"info": {"name": "JinjaLogInfo", "level": "info"}, "data": {"msg": "broken promise: unique(id) by 2", "node_info": {"node_name": "a"}}}',
        '{"info": {"name": "LogTestResult", "level": "error"}, "data": {"name": "a", "status": "fail", "num_failures": 1, "node_info": {"node_name": "a"}}}',
        '{"info": {"name": "LogTestResult", "level": "info"}, "data": {"name": "b", "status": "pass", "num_failures": 0, "node_info": {"node_name": "b"}}}',
        '{"info": {"name": "LogTestResult", "level": "warn"}, "data": {"name": "c", "status": "warn", "num_failures": 3, "node_info": {"node_name": "c"}}}',
        '{"info": {"name": "RunResultError", "level": "error", "msg": "x"}, "data": {"msg": "Binder Error", "node_info": {"node_name": "d"}}}',
        "no JSON",
    ]
    found, said = results(lines)
    assert found == DataChecks(1, {"a": "unique(id) by 2", "d": "Binder Error"}, {"c": "3 rows break it"})
    assert said == "no JSON"


def test_every_relation_that_keeps_rows_says_which_are_of_this_build(staging: Staging) -> None:
    """What an incremental model's check would look through at each build grows for ever otherwise."""
    manifest = current_manifest(Home(staging.platform.root))
    keeps = {
        node["unique_id"]: node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and (
            node["config"]["materialized"] == "incremental"
            or node["name"] in ("set_owners", "memberships", "deliveries")
        )
    }
    small = {
        "builds",
        "vitals",
        "renamings",
        "splits",
        "current_members",
        "calculated",
    }  # a row a build or a model, or who is in now
    unsaid = {
        keeps[node["attached_node"]]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("attached_node") in keeps
        and (node.get("test_metadata") or {}).get("name") == "holds"
        and "this_build" not in node["test_metadata"]["kwargs"]
    }
    assert unsaid <= small
