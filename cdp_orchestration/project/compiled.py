"""The SQL of a model as dbt compiles it for the engine in use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.project.manifest import models
from cdp_orchestration.warehouse import Warehouse

ABOUT_AUDIENCES = ("changes", "current_members", "memberships")  # as macros/audiences.sql names them


def audiences_of(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The models that are audiences, by name."""
    return {name: node for name, node in models(manifest, "5_audiences").items() if name not in ABOUT_AUDIENCES}


def compiled(home: Home, models: list[dict[str, Any]]) -> dict[str, str]:
    """SQL by name of these models of the manifest. Changes nothing, but dbt opens the warehouse: waits for a build at work.

    Raises NeedsAPerson in dbt's own words where it cannot compile one of them.
    """
    folder = home.dbt_target / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    if (home.dbt_target / "partial_parse.msgpack").exists():  # dbt then need not parse anew, which takes seconds
        shutil.copyfile(home.dbt_target / "partial_parse.msgpack", folder / "partial_parse.msgpack")
    command = [
        str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "--quiet", "compile",
        "--select", *(model["name"] for model in models), "--indirect-selection", "empty",
        "--profiles-dir", str(PROJECT_ROOT / "profiles"), "--project-dir", str(PROJECT_ROOT),
        "--target-path", str(folder), "--log-path", str(folder),
    ]  # fmt: skip
    with Warehouse(home).writing():
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False,
            env={**os.environ, "CDP_HOME": str(home.root), "DBT_WRITE_JSON": "false"},
        )  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        if is_disk_full(said):
            raise disk_full(home.root)
        raise NeedsAPerson(f"dbt cannot compile {', '.join(model['name'] for model in models)}. It says:\n{said}")
    place = folder / "compiled"
    return {
        model["name"]: (place / model["package_name"] / model["original_file_path"]).read_text() for model in models
    }
