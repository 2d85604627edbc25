"""What attributes call their columns: a name says one thing of a person, wherever a query brings it together with others."""

from collections.abc import Iterable
from typing import Any

from cdp_orchestration.project.manifest import models
from cdp_orchestration.project.variables import project_variables


def declared_traits() -> list[str]:
    """The names of `vars: catalogue: traits` of dbt_project.yml."""
    return list((project_variables().get("catalogue") or {}).get("traits") or {})


def colliding_columns(manifest: dict[str, Any], traits: Iterable[str]) -> list[str]:
    """One text for each column of an attribute that is called like a trait, or like another attribute's column. Letter case does
    not count in a warehouse. What a twin does not list goes by the name of its model."""
    known = {name.lower(): f"the trait {name} of dbt_project.yml: vars: catalogue: traits" for name in traits}
    problems = []
    for name, node in sorted(models(manifest, "4_attributes").items()):
        file = node["original_file_path"]
        for column in node["columns"] or [name]:
            if column.lower() == "profile_id":
                continue
            other = known.setdefault(column.lower(), f"the column {column} of {file}")
            if other != f"the column {column} of {file}":
                problems.append(
                    f"{file}: its column '{column}' has the name of {other}: whoever reads both would take one for the other. "
                    f"Call it something else (a helper takes as='{name}_{column}')."
                )
    return problems
