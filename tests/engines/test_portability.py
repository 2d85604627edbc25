"""Snowflake, BigQuery and Databricks as far as it goes without an account: every statement that a build would send, of its
first build and of a later one, with every model, hook, check and round of the custom materializations, parses in the dialect
of the engine and uses nothing that is foreign to it (tests/support/dialects.py says what that means, and what it cannot tell)."""

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.identity.test_identity import protect
from tests.support.dialects import faults
from tests.support.harness import PROJECT, Platform

ENGINES = ["snowflake", "bigquery", "databricks"]


def statements(engine: str, home: Path, project: Path = PROJECT, *options: str) -> list[dict[str, str]]:
    """What a first and a later build would send; `options` are dbt's."""
    if importlib.util.find_spec(f"dbt.adapters.{engine}") is None:
        assert not os.environ.get("CI"), f"dbt-{engine} is not installed: make test installs it"
        pytest.skip(f"dbt-{engine} is not installed: make test installs it")
    home.mkdir(parents=True, exist_ok=True)
    arguments = ["-m", "tests.support.statements", engine, str(project), str(home), *options]
    done = Platform(home).python(*arguments, DBT_LOG_LEVEL_FILE="none")
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in (home / "statements.jsonl").read_text().splitlines()]


def copy_of_what_dbt_reads(project: Path) -> Path:
    for name in ("dbt_project", "profiles"):
        shutil.copytree(PROJECT / name, project / name)
    shutil.copy(PROJECT / "dbt_project.yml", project)
    return project


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_of_a_build_is_one_that_the_engine_takes(engine: str, tmp_path: Path) -> None:
    # With protected sources: what is said of them is left out where there are none.
    project = copy_of_what_dbt_reads(tmp_path / "project")
    protect(project, {"web": "update_only", "email": "read_only"})
    sent = statements(engine, tmp_path, project)
    own = frozenset(re.findall(r"create or replace function \S*?(\w+)\(", "\n".join(each["sql"] for each in sent)))
    own = frozenset(name.upper() for name in own)
    checked: dict[str, list[str]] = {}
    wrong = []
    for each in sent:
        found = checked.setdefault(each["sql"], faults(each["sql"], engine, own)) if each["sql"] not in checked else []
        wrong.extend(f"{each['build']}: {each['node']}: {fault}\n{each['sql'][:2000]}" for fault in found)
    assert not wrong, f"{len(wrong)} faults; the first:\n" + "\n\n".join(wrong[:5])

    # Nothing was left out: every model, seed and check of the project, in both builds, and loops went round.
    manifest = json.loads((tmp_path / "dbt" / "manifest.json").read_text())
    due = {
        unique_id
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed", "test") and node["config"]["materialized"] != "ephemeral"
    }
    for build in ("first", "later"):
        assert due <= {each["node"] for each in sent if each["build"] == build}
    loops = {unique_id for unique_id in due if manifest["nodes"][unique_id]["config"]["materialized"] not in
             ("table", "view", "incremental", "intermediate", "seed", "test")}  # fmt: skip
    assert loops
    for unique_id in loops:
        assert sum(each["node"] == unique_id for each in sent) > 5, unique_id
    if engine == "snowflake":  # its client cuts texts into statements at semicolons
        from snowflake.connector.util_text import split_statements

        for each in sent:
            if "language javascript" in each["sql"]:
                from io import StringIO

                assert len([part for part, _ in split_statements(StringIO(each["sql"])) if part.strip()]) == 1


def test_a_model_in_one_engines_own_sql_is_found(tmp_path: Path) -> None:
    project = copy_of_what_dbt_reads(tmp_path / "project")
    (project / "dbt_project/models/4_attributes/searches.sql").write_text(
        "select profile_id, list_sort(list(event_name)) as names from {{ ref('events') }} group by profile_id"
    )
    sent = statements("snowflake", tmp_path / "home", project, "--select", "searches")
    assert any("LIST_SORT" in fault.upper() for each in sent for fault in faults(each["sql"], "snowflake"))
