"""The dbt command of a pass runs in a process that is warm (project/dbt_process.py), though dagster-dbt starts it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from dagster_dbt.core import dbt_cli_invocation

from cdp_orchestration.project.dbt_process import WarmDbt

_ready: WarmDbt | None = None


@contextmanager
def warm_dbt() -> Iterator[None]:
    """While open, the next dbt command of this process runs in a process that is warm."""
    global _ready
    process = _ready = WarmDbt()
    try:
        yield
    finally:
        _ready = None
        process.close()


@contextmanager
def dbt_is_warm() -> Iterator[None]:
    """While open, what dagster-dbt starts as a subprocess runs in the warm process, if there is one to take."""
    global _ready
    process, _ready = _ready, None
    if process is None:
        yield
        return
    # dagster-dbt has no place to say how dbt is started; its module starts it through this name and no other.
    cold = dbt_cli_invocation.subprocess
    dbt_cli_invocation.subprocess = SimpleNamespace(Popen=process.start, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)  # type: ignore[assignment]
    try:
        yield
    finally:
        dbt_cli_invocation.subprocess = cold
