"""The SQL of a model as dbt compiles it for the engine in use."""

import os
import shutil
from typing import Any

from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import Home
from cdp_orchestration.project.dbt_command import run_dbt
from cdp_orchestration.warehouse import Warehouse


def compiled(home: Home, models: list[dict[str, Any]]) -> dict[str, str]:
    """SQL by name of these models of the manifest. In PostgreSQL it may not write; on DuckDB dbt opens the file, so it waits for a
    build at work.

    Raises NeedsAPerson in dbt's own words where it cannot compile one of them.
    """
    folder = home.dbt_target / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    if (home.dbt_target / "partial_parse.msgpack").exists():  # dbt then need not parse anew, which takes seconds
        shutil.copyfile(home.dbt_target / "partial_parse.msgpack", folder / "partial_parse.msgpack")
    files = {
        model["name"]: folder / "compiled" / model["package_name"] / model["original_file_path"] for model in models
    }
    for file in files.values():
        file.unlink(missing_ok=True)  # of an earlier question; of an empty model dbt writes none
    with Warehouse(home).writing():
        done = run_dbt(
            home, folder, "--quiet", "compile", "--no-populate-cache", "--select", *files, "--indirect-selection", "empty",
            PGOPTIONS=f"{os.environ.get('PGOPTIONS', '')} -c default_transaction_read_only=on".strip(),
        )  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        if is_disk_full(said):
            raise disk_full(home.root)
        raise NeedsAPerson(f"dbt cannot compile {', '.join(files)}. It says:\n{said}")
    for model in models:
        if not files[model["name"]].exists():
            raise NeedsAPerson(f"{model['original_file_path']}: dbt compiled nothing of it: is it empty?")
    return {name: file.read_text() for name, file in files.items()}
