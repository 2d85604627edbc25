"""One pass in this process: pull, build, check, deliver. It runs the very jobs that Dagster's UI shows, and its runs
appear there, because both share the storage under CDP_HOME/dagster."""

import fcntl
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from cdp_orchestration import last_pass, unread
from cdp_orchestration.components import runs
from cdp_orchestration.components.event_log import instance_of
from cdp_orchestration.components.warm_dbt import warm_dbt
from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import Home, current_home
from cdp_orchestration.scratch.build import NOTE
from cdp_orchestration.warehouse import Warehouse

log = logging.getLogger("cdp")

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Step:
    """A job of the pass: what it was, whether all of it went well, and what a person must know if not."""

    name: str
    ok: bool
    problems: list[str] = field(default_factory=list)
    run_id: str = ""


@contextmanager
def one_pass_at_a_time(home: Home) -> Iterator[None]:
    """Two passes queue; the kernel frees the place of one that was killed. Raises NeedsAPerson in a warehouse of the past."""
    if (home.root / NOTE).exists():
        raise NeedsAPerson(
            f"{home.root} is a warehouse of the past, made by `cdp at`: nothing is pulled into it or delivered from it."
        )
    with open(home.root / "pass.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("Another pass is at work in this CDP_HOME; waiting for it to end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_pass(home: Home, as_of: str | None = None, full_refresh: bool = False, deliver: bool = True) -> list[Step]:
    """Pull all sources, build the warehouse, deliver all syncs. A source that fails does not keep the others' rows
    waiting; a build that fails holds every delivery. Raises CdpError where nothing could start."""
    with warm_dbt(), one_pass_at_a_time(home):
        last_pass.forget(home)
        Warehouse(home).check()  # before anything is pulled
        definitions = load_definitions()
        with instance_of(home.dagster) as instance:
            for run_id in runs.end_dead_runs(instance):
                log.info(f"A killed run was still marked as running and has been ended: {run_id}")
            steps = [_execute(definitions, instance, "pull")]
            for text in unread.sentences(home):
                log.info(text)
            config = {"as_of": as_of, "full_refresh": full_refresh} if as_of else {"full_refresh": full_refresh}
            build = _execute(definitions, instance, "build", {"ops": {"warehouse": {"config": config}}})
            steps.append(build)
            if deliver and build.ok:
                steps.append(_execute(definitions, instance, "deliver"))
                if all(step.ok for step in steps):
                    last_pass.remember(home, build.run_id)
            elif deliver:
                steps.append(Step("deliver", False, ["Nothing was delivered, because the build failed."]))
            return steps


def run_sync(home: Home, key: list[str]) -> Step:
    """Deliver one sync, the asset of that key, from the warehouse as it is. A last build that failed holds it."""
    with one_pass_at_a_time(home):
        definitions = load_definitions()
        with instance_of(home.dagster) as instance:
            runs.end_dead_runs(instance)
            failed = runs.failed_build(instance)
            if failed:
                return Step("deliver", False, [f"Nothing was delivered, because the last build failed (run {failed})."])
            return _execute(definitions, instance, "deliver", assets=[dg.AssetKey(key)])


def validate_definitions() -> None:
    """Load the definitions as Dagster's web server and daemon do, which see more than a pass does: two things of one name, a
    job that cannot be resolved. Raises CdpError for what is ours, Dagster's own error otherwise."""
    dg.Definitions.validate_loadable(load_definitions())


def load_definitions() -> dg.Definitions:
    """The definitions of the code location. Errors of configuration come out as CdpError."""
    from cdp_orchestration.errors import CdpError

    try:
        from cdp_orchestration.definitions import defs

        loaded = defs() if callable(defs) else defs
        loaded.get_repository_def()
        return loaded
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, CdpError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise


def _execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    name: str,
    config: dict[str, Any] | None = None,
    assets: list[dg.AssetKey] | None = None,
) -> Step:
    job = definitions.resolve_job_def(name)
    result = job.execute_in_process(
        instance=instance, run_config={**QUIET, **(config or {})}, raise_on_error=False, asset_selection=assets,
        tags={runs.PROCESS_TAG: runs.this_process()},
    )  # fmt: skip
    problems = []
    for event in result.all_events:
        if event.is_step_failure:
            problems.append(_reason(str(event.step_key), event.step_failure_data))
    if any(is_disk_full(problem) for problem in problems):
        problems = [str(disk_full(current_home().root))]
    return Step(name, result.success, problems, result.run_id)


def _reason(step: str, failure: Any) -> str:
    """Why a step failed, in one text. Steps describe their failures themselves; what failed around them is named by step,
    type and text, and has its trace in the log."""
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error
    while error is not None and error.cause is not None and (error.cls_name or "").startswith(("Dagster", "Retry")):
        error = error.cause  # Dagster's own words wrap the reason
    if error is None:
        return f"{step}: failed without a word"
    print(error.to_string(), file=sys.stderr)
    return f"{step}: {' '.join(error.message.split())}"
