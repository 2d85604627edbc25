"""The SQL of a model as dbt compiles it for the engine in use."""

import shutil
from typing import Any

from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import Home
from cdp_orchestration.project.dbt_command import run_dbt
from cdp_orchestration.warehouse import Warehouse


def compiled(home: Home, models: list[dict[str, Any]]) -> dict[str, str]:
    """SQL by name of these models of the manifest. Changes nothing, but dbt opens the warehouse: waits for a build at work.

    Raises NeedsAPerson in dbt's own words where it cannot compile one of them.
    """
    folder = home.dbt_target / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    if (home.dbt_target / "partial_parse.msgpack").exists():  # dbt then need not parse anew, which takes seconds
        shutil.copyfile(home.dbt_target / "partial_parse.msgpack", folder / "partial_parse.msgpack")
    names = [model["name"] for model in models]
    with Warehouse(home).writing():
        done = run_dbt(home, folder, "--quiet", "compile", "--select", *names, "--indirect-selection", "empty")
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        if is_disk_full(said):
            raise disk_full(home.root)
        raise NeedsAPerson(f"dbt cannot compile {', '.join(model['name'] for model in models)}. It says:\n{said}")
    place = folder / "compiled"
    return {
        model["name"]: (place / model["package_name"] / model["original_file_path"]).read_text() for model in models
    }
