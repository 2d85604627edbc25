"""Clocks, conditions and alarms: when things run by themselves.

Clocks stand where data enters: each source's schedule pulls it and rebuilds the warehouse. What follows from new data,
the pushes, has conditions. Both start switched off, so that a deployment begins quietly: switch them on in the UI
(Automation), or set CDP_AUTOMATION=on to have them running from the start.
"""

import os

import dagster as dg
import requests

from cdp_orchestration import compaction
from cdp_orchestration.components import runs
from cdp_orchestration.components.connection import GROUP as SOURCES
from cdp_orchestration.components.failures import as_dagster_failure
from cdp_orchestration.components.sync import GROUP as DESTINATIONS
from cdp_orchestration.connections import connections
from cdp_orchestration.home import current_home
from cdp_orchestration.project.layers import LAYERS

IS_ON = os.environ.get("CDP_AUTOMATION", "").lower() in ("on", "1", "true", "yes")
SCHEDULES = dg.DefaultScheduleStatus.RUNNING if IS_ON else dg.DefaultScheduleStatus.STOPPED
SENSORS = dg.DefaultSensorStatus.RUNNING if IS_ON else dg.DefaultSensorStatus.STOPPED
NIGHTLY = "30 3 * * *"

all_sources = dg.AssetSelection.groups(SOURCES)
all_models = dg.AssetSelection.groups(*LAYERS)
all_syncs = dg.AssetSelection.groups(DESTINATIONS)


@dg.run_failure_sensor(name="alert_on_failure", default_status=dg.DefaultSensorStatus.RUNNING)
def alert_on_failure(context: dg.RunFailureSensorContext) -> None:
    """Posts {"text": …} to CDP_ALERT_WEBHOOK_URL (a Slack-style incoming webhook) when a run failed, if it is set."""
    url = os.environ.get("CDP_ALERT_WEBHOOK_URL")
    if not url:
        return
    run = context.dagster_run
    text = f"Run {run.run_id} of {run.job_name} failed: {context.failure_event.message}"
    requests.post(url, json={"text": text, "run_id": run.run_id, "job": run.job_name}, timeout=10).raise_for_status()


@dg.sensor(name="end_dead_runs", minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def end_dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Reports runs failed whose process was killed, so that they do not hold the next run up."""
    ended = runs.end_dead_runs(context.instance)
    return dg.SkipReason(f"Ended {len(ended)} dead runs: {', '.join(ended)}" if ended else "No dead runs.")


@dg.op(name="compact_history", out=dg.Out(dg.Nothing))
def _compact(context: dg.OpExecutionContext) -> None:
    runs.sign(context.instance, context.run_id)
    with as_dagster_failure("compact"):
        compaction.compact(current_home())


@dg.job(name="compact")
def compact() -> None:
    """Bring many small files of landing and ledger into few."""
    _compact()


def _refresh(name: str, cron: str) -> dg.ScheduleDefinition:
    job = dg.define_asset_job(
        f"refresh_{name}",
        selection=dg.AssetSelection.key_prefixes([name]) & all_sources | all_models,
        description=f"Pull {name} and rebuild the warehouse.",
    )
    return dg.ScheduleDefinition(name=f"{name}_schedule", job=job, cron_schedule=cron, default_status=SCHEDULES)


@dg.definitions
def defs() -> dg.Definitions:
    clocks = [_refresh(name, source.schedule) for name, source in connections("sources").items() if source.schedule]
    clocks.append(
        dg.ScheduleDefinition(name="compact_nightly", job=compact, cron_schedule=NIGHTLY, default_status=SCHEDULES)
    )
    return dg.Definitions(
        jobs=[
            dg.define_asset_job("pull", selection=all_sources, description="Land what is new in every source."),
            dg.define_asset_job("build", selection=all_models, description="Rebuild the warehouse from landing."),
            dg.define_asset_job("deliver", selection=all_syncs, description="Bring every destination up to date."),
            compact,
        ],
        schedules=clocks,
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "activation",
                target=all_syncs,
                default_status=SENSORS,
                minimum_interval_seconds=30,
                description="Pushes a sync when its model has new data and its checks passed.",
            ),
            alert_on_failure,
            end_dead_runs,
        ],
    )
