"""One command of dbt beside the builds, which Dagster runs: compile, test."""

import os
import subprocess
import sys
from pathlib import Path

from cdp_orchestration.home import PROJECT_ROOT, Home


def run_dbt(home: Home, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it on the project of this checkout; what it writes goes to `folder`. Who calls holds the warehouse, and reads the code."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments,
         "--profiles-dir", str(PROJECT_ROOT / "profiles"), "--project-dir", str(PROJECT_ROOT),
         "--target-path", str(folder), "--log-path", str(folder)],
        capture_output=True, text=True, cwd=PROJECT_ROOT, check=False,
        env={**os.environ, "CDP_HOME": str(home.root), "DBT_WRITE_JSON": "false"},
    )  # fmt: skip
