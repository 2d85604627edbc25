"""The dbt project as Dagster sees it, with a manifest that always says what the models say."""

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliInvocation, DbtCliResource, DbtProject
from packaging import version

from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import PROJECT_ROOT, Home, current_home
from cdp_orchestration.identity.rules import decisions
from cdp_orchestration.project import audience_rules, relations
from cdp_orchestration.project.manifest import PARSED_FROM, state_of
from cdp_orchestration.project.variables import project_variables
from cdp_orchestration.warehouse import Warehouse

DBT_EXECUTABLE = str(Path(sys.executable).with_name("dbt"))


class Dbt(DbtCliResource):
    """dbt's command for Dagster, without what dagster-dbt prepares for metadata that we do not fetch through dbt: a
    second adapter in this process, and a `dbt --version`. Together they took 5 s of CPU of every build."""

    @cached_property
    def _cli_version(self) -> version.Version:
        return version.parse(installed("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None

    def cli(self, args: Sequence[str], **more: Any) -> DbtCliInvocation:
        from cdp_orchestration.components.warm_dbt import dbt_is_warm

        with dbt_is_warm():
            return super().cli(args, **more)


def dbt_project(home: Home | None = None) -> DbtProject:
    """The project with its parse cache in the home; parses first where the manifest is missing or stale.

    Raises NeedsAPerson with dbt's own words when the project does not parse (two models of one name, bad YAML, …).
    """
    home = home or current_home()
    Warehouse(home).configured()
    home.dbt_target.mkdir(parents=True, exist_ok=True)
    # dagster-dbt seeds each run's own target folder with the parse cache that it finds here.
    os.environ["DBT_TARGET_PATH"] = str(home.dbt_target)
    project = DbtProject(project_dir=PROJECT_ROOT, profiles_dir=PROJECT_ROOT / "profiles", target_path=home.dbt_target)
    state, parsed_from = state_of(PROJECT_ROOT), home.dbt_target / PARSED_FROM
    if not project.manifest_path.exists() or not parsed_from.exists() or parsed_from.read_text() != state:
        _remember_built(project.manifest_path, home)
        _parse(project, home)
        parsed_from.write_text(state)
    return project


def _remember_built(manifest: Path, home: Home) -> None:
    """A home of a version that kept no note of its relations: what its last manifest names was built."""
    if manifest.exists() and Warehouse(home).exists():
        with suppress(ValueError, KeyError):
            relations.remember(home, json.loads(manifest.read_text()))


def _parse(project: DbtProject, home: Home) -> None:
    import subprocess

    project_variables()
    decisions()  # what is no text at all, dbt would answer with a traceback
    audience_rules.check_names_of_models()
    rules = audience_rules.audience_rules()
    os.environ["PATH"] = f"{Path(DBT_EXECUTABLE).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [DBT_EXECUTABLE, "--no-use-colors", "--quiet", "parse", "--profiles-dir", str(PROJECT_ROOT / "profiles"),
         "--project-dir", str(PROJECT_ROOT), "--target-path", str(home.dbt_target), "--log-path", str(home.dbt_target)],
        capture_output=True, text=True, cwd=PROJECT_ROOT, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        if is_disk_full(done.stdout + done.stderr):
            raise disk_full(home.root)
        project.manifest_path.unlink(missing_ok=True)
        told = (done.stdout or done.stderr).strip()
        raise NeedsAPerson(f"The dbt project does not parse. dbt says:\n{told}{_remedy(told)}")
    manifest = json.loads(project.manifest_path.read_text())
    try:
        audience_rules.check_circles(manifest, rules)
        audience_rules.check_own_limits(manifest)
    except NeedsAPerson:
        project.manifest_path.unlink()
        raise


def _remedy(told: str) -> str:
    """What dbt leaves out where a model, or a formula over attributes, names one that does not exist."""
    missing = re.search(r"depends on a node named '(\w+)' which was not found", told)
    if not missing:
        return ""
    name = missing[1]
    models = sorted(file.stem for file in (PROJECT_ROOT / "dbt_project" / "models").rglob("*.sql"))
    close = get_close_matches(name, models, n=1)
    meant = f" (is it {close[0]}?)" if close else ""
    return f"\nCorrect the name{meant}, or add the model {name}.sql."
