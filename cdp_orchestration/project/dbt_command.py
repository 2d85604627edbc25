"""One command of dbt beside the builds, which Dagster runs: compile, test, parse, and the builds of scratch warehouses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.project.dbt_process import WarmDbt


def run_dbt(home: Home, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it on the project of this checkout; what it writes goes to `folder`. Who calls holds the warehouse, and reads the code."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments,
         "--profiles-dir", str(PROJECT_ROOT / "profiles"), "--project-dir", str(PROJECT_ROOT),
         "--target-path", str(folder), "--log-path", str(folder)],
        capture_output=True, text=True, cwd=PROJECT_ROOT, check=False,
        env={**os.environ, "CDP_HOME": str(home.root), "DBT_WRITE_JSON": "false", **environment},
    )  # fmt: skip


def dbt_in_process(
    dbt: WarmDbt,
    project: Path,
    folder: Path,
    environment: dict[str, str],
    arguments: list[str],
    parsed: Path | None = None,
) -> str | None:
    """Run one in a process that waits for it: None where it went well, else what dbt says. `project`: the folder of
    dbt_project.yml; `parsed`: as for WarmDbt.start. What it writes goes to `folder`."""
    command = [
        "dbt", "--no-use-colors", "--quiet", *arguments, "--profiles-dir", str(PROJECT_ROOT / "profiles"),
        "--project-dir", str(project), "--target-path", str(folder), "--log-path", str(folder),
    ]  # fmt: skip
    dbt.start(command, environment, PROJECT_ROOT, parsed)
    try:
        said = dbt.stdout.read().decode(errors="replace")
        return None if dbt.wait() == 0 else said.strip()[-3000:]
    except BaseException:  # Ctrl-C: nobody removes what it still writes to
        dbt.send_signal(signal.SIGTERM)
        dbt.wait()
        raise
