"""The dbt project as Dagster sees it, with a manifest that always says what the models say."""

import hashlib
import os
import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliResource, DbtProject
from packaging import version

from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.home import PROJECT_ROOT, Home, current_home
from cdp_orchestration.identity.rules import decisions
from cdp_orchestration.warehouse import Warehouse

PARSED_FROM = "parsed_from"  # beside the manifest: the state of the project that it was made from
DBT_EXECUTABLE = str(Path(sys.executable).with_name("dbt"))


class Dbt(DbtCliResource):
    """dbt's command for Dagster, without what dagster-dbt prepares for metadata that we do not fetch through dbt: a
    second adapter in this process, and a `dbt --version`. Together they took 5 s of CPU of every build."""

    @cached_property
    def _cli_version(self) -> version.Version:
        return version.parse(installed("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def dbt_project(home: Home | None = None) -> DbtProject:
    """The project with its parse cache in the home; parses first where the manifest is missing or stale.

    Raises StopAndTell with dbt's own words when the project does not parse (two models of one name, bad YAML, …).
    """
    home = home or current_home()
    Warehouse(home).configured()
    home.dbt_target.mkdir(parents=True, exist_ok=True)
    # dagster-dbt seeds each run's own target folder with the parse cache that it finds here.
    os.environ["DBT_TARGET_PATH"] = str(home.dbt_target)
    project = DbtProject(project_dir=PROJECT_ROOT, profiles_dir=PROJECT_ROOT / "profiles", target_path=home.dbt_target)
    state, parsed_from = state_of(PROJECT_ROOT), home.dbt_target / PARSED_FROM
    if not project.manifest_path.exists() or not parsed_from.exists() or parsed_from.read_text() != state:
        _parse(project, home)
        parsed_from.write_text(state)
    return project


def _parse(project: DbtProject, home: Home) -> None:
    import subprocess

    decisions()  # what is no text at all, dbt would answer with a traceback
    os.environ["PATH"] = f"{Path(DBT_EXECUTABLE).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [DBT_EXECUTABLE, "--no-use-colors", "--quiet", "parse", "--profiles-dir", str(PROJECT_ROOT / "profiles"),
         "--project-dir", str(PROJECT_ROOT), "--target-path", str(home.dbt_target), "--log-path", str(home.dbt_target)],
        capture_output=True, text=True, cwd=PROJECT_ROOT, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        project.manifest_path.unlink(missing_ok=True)
        raise StopAndTell(f"The dbt project does not parse. dbt says:\n{(done.stdout or done.stderr).strip()}")


def state_of(root: Path, place: Path | None = None) -> str:
    """md5 hex over what the manifest of the checkout `root` is made from, and over where it is (`place`, if it is to move).

    Contents, not times: the files of an older checkout, of an image or of a copy may be older than the manifest, and others all
    the same.
    """
    digest = hashlib.md5(str(place or root).encode())
    inputs = [root / "dbt_project.yml", root / "profiles" / "profiles.yml"]
    inputs += (path for path in (root / "dbt_project").rglob("*") if path.suffix in (".sql", ".yml", ".csv"))
    for path in sorted(inputs):
        digest.update(f"\n{path.relative_to(root)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def models(manifest: dict[str, Any], folder: str) -> dict[str, dict[str, Any]]:
    """Models of one layer's folder (`5_audiences`, say) by name."""
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and folder in node["fqn"]
    }
