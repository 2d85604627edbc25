"""Jobs run as Dagster's daemon and web server run them, without `cdp`: in a process of their own, over the instance of a home."""

from tests.support.harness import Platform

ME = {
    "type": "identify",
    "userId": "u1",
    "traits": {"email": "u1@x.example"},
    "timestamp": "2026-10-01T00:00:00Z",
    "context": {"consent": {"categoryPreferences": {"email_marketing": True}}},
}
ORDER = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u1",
    "timestamp": "2026-10-01T00:00:00Z",
    "properties": {"order_id": "o1", "total": 3000},
}

STEPS = """
from contextlib import nullcontext
import dagster as dg
from cdp_orchestration.components.run_pass import load_definitions
from cdp_orchestration.cli.start import ready_home
from cdp_orchestration.components.warm_dbt import warm_dbt

ready_home()
definitions = load_definitions()
graph = definitions.resolve_asset_graph()
keys = sorted(graph.materializable_asset_keys)
cursor = None
with dg.DagsterInstance.get() as instance:
    for step in {steps!r}:
        print("STEP", step)
        if step == "tick":
            told = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
            cursor = told.cursor
            print("ASKED", *(key.to_user_string() for key in keys if told.get_num_requested(key)))
            continue
        chosen = [key for key in keys if graph.get(key).group_name == {group!r}] or None
        with warm_dbt() if {warm!r} else nullcontext():
            result = definitions.resolve_job_def(step).execute_in_process(
                instance=instance, raise_on_error=False, asset_selection=chosen)
        print("SUCCESS", result.success)
        for event in result.all_events:
            if event.is_step_failure:
                print("FAILED", event.step_key, event.step_failure_data.user_failure_data)
            if event.event_type_value == "STEP_START":
                print("STARTED", event.step_key)
"""


def steps(*names: str, group: str | None = None, warm: bool = False) -> str:
    """The code of a process: jobs by their names, of which only the assets of a group, and `tick`s, at which the conditions
    are asked what should run. It prints STEP and the name, then SUCCESS, FAILED and STARTED, or ASKED. `warm` starts dbt as a
    pass does, which is faster than Dagster's own way."""
    return STEPS.format(steps=names, group=group, warm=warm)


def ran(platform: Platform, *names: str) -> list[str]:
    """What each step printed."""
    done = platform.python("-c", steps(*names, warm=True))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.split("STEP ")[1:]
