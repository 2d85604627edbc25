"""The models' own unit tests (in their .yml twins) pass on every engine; among them are those of what engines spell
differently (macros/dialect/)."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import jinja2
import pytest

from cdp_orchestration.project.manifest import state_of
from tests.identity.test_identity import copy_of_the_project
from tests.support.harness import PROJECT, Platform, dbt

OPERATORS = PROJECT / "tests" / "audiences" / "operators"
WHO_MEETS = PROJECT / "tests" / "audiences" / "who_meets.sql"
DIALECT = PROJECT / "dbt_project" / "macros" / "dialect"


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_dbt_unit_tests_pass(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """And those of every operator, whose models are none of a deployment's (tests/audiences/operators/)."""
    variables = request.getfixturevalue("postgres") if engine == "postgres" else {}
    home, project = tmp_path / "home", copy_of_the_project(tmp_path / "project")
    shutil.copytree(OPERATORS, project / "dbt_project" / "models" / "operators")
    shutil.copy(WHO_MEETS, project / "dbt_project" / "macros")
    loaded = Platform(home, engine=variables).cdp("load")
    assert loaded.returncode == 0, loaded.stderr
    # Unit tests need the relations that they stand in for: one build of an empty warehouse makes them on the way.
    done = dbt(project, home, "build", "--exclude-resource-type", "test", **variables)
    assert done.returncode == 0, done.stdout[-6000:]
    passed = set(re.findall(r"PASS (?:unit_test )?(\w+)::", done.stdout))
    assert len(passed) > 10
    assert passed >= {file.stem for file in OPERATORS.glob("*.yml")}


def test_the_manifest_follows_contents_and_place_not_times(tmp_path: Path) -> None:
    """An older checkout, or a copy that kept its times, is not taken for what was parsed before it."""
    project = copy_of_the_project(tmp_path / "project")
    before = state_of(project)
    model = project / "dbt_project/models/2_identity/identifiers.sql"
    model.write_text(model.read_text() + "-- other\n")
    os.utime(model, (0, 0))
    assert state_of(project) != before
    assert state_of(PROJECT) != state_of(PROJECT, place=project)


def dispatched() -> list[str]:
    text = "".join(file.read_text() for file in DIALECT.glob("*.sql"))
    return sorted(set(re.findall(r"adapter\.dispatch\('(\w+)', 'cdp'\)", text)))


def test_an_engine_without_a_body_is_told_which_macro_to_add() -> None:
    """Every dispatched macro either works anywhere, or its default raises that; DuckDB and PostgreSQL have all of those."""
    text = "".join(file.read_text() for file in DIALECT.glob("*.sql"))
    assert len(dispatched()) > 20
    for name in dispatched():
        default = re.search(rf"macro default__{name}\(.*?endmacro", text, re.S)
        assert default, f"{name} has no default__{name}"
        if "not_on_this_engine" in default.group():
            assert f"not_on_this_engine('{name}')" in default.group()
            for engine in ("duckdb", "postgres"):
                assert f"macro {engine}__{name}(" in text, f"{engine}__{name} is missing"


def test_the_error_names_the_macro_and_the_folder() -> None:
    def fails(text: str) -> Any:
        raise ValueError(text)

    file = DIALECT / "not_on_this_engine.sql"
    template = jinja2.Environment().from_string(file.read_text())
    context = {"exceptions": {"raise_compiler_error": fails}, "target": {"type": "oracle"}}
    with pytest.raises(ValueError, match=r"'oracle'.*oracle__hash64 to dbt_project/macros/dialect/"):
        template.make_module(context).not_on_this_engine("hash64")  # type: ignore[attr-defined]
