"""Keeping Dagster's run storage honest: a killed run must not hold the next one up.

A run that is killed (kill -9, power cut) stays STARTED in the storage and keeps its slot in the warehouse pool. Every
step notes which process it runs in; where that process is gone, the run is reported failed and its slots are freed.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from dagster import AssetCheckEvaluation

PROCESS_TAG = "cdp/process"
_OPEN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]


def this_process() -> str:
    """'pid:start time' of this process; the start time distinguishes it from a later process with the same pid."""
    return f"{os.getpid()}:{_start_time(os.getpid())}"


def sign(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note on the run that it works in this process."""
    instance.add_run_tags(run_id, {PROCESS_TAG: this_process()})


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs failed whose process is gone, and free their slots. Returns their ids."""
    ended = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=_OPEN)):
        signed = run.tags.get(PROCESS_TAG)
        if signed is None or _is_alive(signed):
            continue
        instance.report_run_failed(run, "The process of this run ended without a word (killed?).")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def failed_build(instance: dg.DagsterInstance) -> str | None:
    """The id of the run that built last (the job build, or a schedule's refresh_<source>), if it failed."""
    latest: dg.RunRecord | None = None
    for record in instance.get_run_records(limit=100):
        name = record.dagster_run.job_name
        if record.dagster_run.is_finished and (name == "build" or name.startswith("refresh_")):
            latest = record
            break
    if latest is None or latest.dagster_run.is_success:
        return None
    return latest.dagster_run.run_id


def failed_checks(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]
) -> list[tuple[dg.AssetCheckKey, AssetCheckEvaluation, float]]:
    """The checks among these whose last result is a failure or a warning, each with that result and its time (Unix seconds)."""
    found = []
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys)).items():
        if record.event and record.event.dagster_event and record.event.asset_check_evaluation:
            evaluation = record.event.asset_check_evaluation
            if not evaluation.passed:
                found.append((key, evaluation, record.event.timestamp))
    return found


def _is_alive(signed: str) -> bool:
    pid, started = signed.split(":", 1)
    return _start_time(int(pid)) == started


def _start_time(pid: int) -> str:
    """Field 22 of /proc/<pid>/stat; '' where there is no such process. Elsewhere than Linux the pid must do."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        return "alive"
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
