"""What Dagster does with it: groups and lineage, a failed check that holds the push, conditions, alarms."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from tests.builds.test_bad_input import copied_project
from tests.support.harness import Platform
from tests.support.in_dagster import ME, ORDER, ran


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    os.environ["CDP_HOME"] = str(tmp_path_factory.mktemp("definitions"))
    from cdp_orchestration.cli.start import ready_home
    from cdp_orchestration.components.run_pass import load_definitions

    ready_home()
    return load_definitions()


def test_the_web_server_can_load_them(definitions: dg.Definitions) -> None:
    """It sees more than a pass: an op and a job of one name stop the whole code location."""
    dg.Definitions.validate_loadable(definitions)


def test_every_layer_is_a_group_and_every_asset_is_described(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    groups: dict[str, int] = {}
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        groups[node.group_name] = groups.get(node.group_name, 0) + 1
        assert node.description, key
    assert set(groups) == {
        "sources", "staging", "identity", "profiles", "attributes", "audiences", "activation", "destinations",
    }  # fmt: skip
    assert groups["sources"] == 6
    assert groups["destinations"] == 2


def test_steps_belong_to_their_layer_and_are_private_to_it(definitions: dg.Definitions) -> None:
    from cdp_orchestration.defs.warehouse.dbt import MANIFEST
    from cdp_orchestration.project.layers import SCHEMAS, STEPS

    nodes = [node for node in MANIFEST["nodes"].values() if node["resource_type"] == "model"]
    assert {node["schema"] for node in nodes} == set(SCHEMAS), "a schema that layers.py does not list is never removed"
    steps = [node for node in nodes if node["schema"] in STEPS]
    assert {(node["access"], node["group"]) for node in steps} == {("private", "identity")}
    graph = definitions.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["identity_steps", "kept"])).group_name == "identity"


def test_lineage_is_unbroken_from_each_source_to_each_destination(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    sources = {key for key in graph.materializable_asset_keys if graph.get(key).group_name == "sources"}
    for key in graph.materializable_asset_keys:
        if graph.get(key).group_name != "destinations":
            continue
        above, waiting = set(), [key]
        while waiting:
            one = waiting.pop()
            if one not in above:
                above.add(one)
                waiting += graph.get(one).parent_keys
        assert sources <= above, f"{key}: not fed by {sources - above}"


def test_tests_of_models_are_blocking_checks_except_those_that_only_warn(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = {key.name: graph.get(key) for key in graph.asset_check_keys}
    assert len(checks) > 50
    warning = {name for name, check in checks.items() if not check.blocking}
    assert warning == {"audiences_do_not_jump", "identity_does_not_jump"}


def test_schedules_stand_where_data_enters_and_the_activation_sensor_has_a_name(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "crm_schedule", "email_schedule", "inbox_schedule", "shop_schedule", "web_schedule", "compact_nightly",
    }  # fmt: skip
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert {"activation", "alert_on_failure", "end_dead_runs"} <= set(sensors)
    assert sensors["activation"].default_status == dg.DefaultSensorStatus.STOPPED


@pytest.fixture(scope="module")
def changeable(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform on a copy of the project, with one person, who is a VIP and wants the newsletter."""
    folder = tmp_path_factory.mktemp("changeable")
    platform = Platform(folder / "home", copied_project(folder))
    platform.drop("a.jsonl", [ME, ORDER])
    return platform


@pytest.fixture(scope="module")
def when_fine(changeable: Platform) -> list[str]:
    return ran(changeable, "pull", "tick", "build", "tick")


@pytest.fixture(scope="module")
def when_broken(changeable: Platform, when_fine: list[str]) -> list[str]:
    """With a check of what a sync sends that fails."""
    broken = changeable.project / "dbt_project" / "tests" / "no_vip_is_sent.sql"
    broken.write_text("select row_key from {{ ref('vips_to_file') }}")
    told = ran(changeable, "tick", "build", "tick", "deliver", "__ASSET_JOB")
    broken.unlink()
    return told


def test_the_activation_condition_asks_for_a_sync_with_new_data_once_its_checks_passed(
    when_fine: list[str], when_broken: list[str]
) -> None:
    _, first, built, then = when_fine
    assert "SUCCESS True" in built
    assert first == "tick\nASKED\n"
    assert then == "tick\nASKED crm/newsletter_to_crm sales_desk/vips_to_file\n"
    assert when_broken[2] == "tick\nASKED crm/newsletter_to_crm\n"


def test_a_failed_check_holds_the_push_in_the_same_run_and_in_a_later_one(when_broken: list[str]) -> None:
    _, _, _, later_run, same_run = when_broken
    assert "SUCCESS False" in same_run
    assert "no_vip_is_sent" in same_run
    assert "STARTED warehouse" in same_run
    assert "STARTED sales_desk__vips_to_file" not in same_run
    assert "is held" in later_run
    assert "no_vip_is_sent" in later_run


def test_a_pass_whose_checks_fail_names_them_and_delivers_once_they_pass(
    changeable: Platform, when_broken: list[str]
) -> None:
    broken = changeable.project / "dbt_project" / "tests" / "nobody_is_a_vip.sql"
    broken.write_text("select profile_id from {{ ref('vips') }}")
    twin = changeable.project / "dbt_project" / "models" / "5_audiences" / "vips.yml"
    held = twin.read_text()
    impossible = "- is_audience: {arguments: {accepted_values: {profile_id: [nobody]}}}"
    twin.write_text(held.replace("- is_audience", impossible))
    done = changeable.cdp("run")
    assert done.returncode == 1
    assert "nobody_is_a_vip" in done.stderr
    assert "accepted_values(profile_id) by 1 in dbt_project/models/5_audiences/vips.sql" in done.stderr, (
        "one check holds several promises; the broken one is named"
    )
    assert not list((changeable.root / "drop").iterdir())
    shown = changeable.cdp("status").stdout
    assert "Failed checks" in shown
    assert "nobody_is_a_vip" in shown.split("Failed checks")[1]
    assert "failure" in shown.split("Failed checks")[0]

    broken.unlink()
    twin.write_text(held)
    changeable.run()
    assert len(list((changeable.root / "drop").glob("*.jsonl"))) == 1


def test_a_failed_run_is_told_to_the_alert_webhook(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_orchestration.defs.automation import alert_on_failure

    received: list[dict[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    @dg.op
    def breaks() -> None:
        raise ValueError("on purpose")

    @dg.job
    def broken_job() -> None:
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = broken_job.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_failure", dagster_instance=instance, dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()  # fmt: skip
        monkeypatch.delenv("CDP_ALERT_WEBHOOK_URL", raising=False)
        alert_on_failure(context)
        assert received == []
        monkeypatch.setenv("CDP_ALERT_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/")
        alert_on_failure(context)
    server.shutdown()
    assert [message["job"] for message in received] == ["broken_job"]
    assert "failed" in received[0]["text"]
