"""What the project declares: `vars` of dbt_project.yml, as they stand there.

Whoever reads them knows that they are of the right shape: mappings where mappings belong. What an entry means, dbt's macros
and `cdp check` judge.
"""

from pathlib import Path
from typing import Any

import yaml

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT

_FILE = "dbt_project.yml"
_CATALOGUE = ("traits", "properties")


def project_variables(root: Path = PROJECT_ROOT) -> dict[str, Any]:
    """Of the project in `root`; empty where it declares none. Raises NeedsAPerson naming file, field and remedy."""
    try:
        declared = yaml.load((root / _FILE).read_text(), _OnceOnly)
    except yaml.YAMLError as error:
        raise NeedsAPerson(f"{_FILE} is not valid YAML: {' '.join(str(error).split())}") from None
    found = _mapping(_mapping(declared, "the file").get("vars"), "vars")
    for name in ("identity", "catalogue", "sources"):  # audience_rules.py says what audiences are
        _mapping(found.get(name), f"vars.{name}")
    catalogue = found.get("catalogue") or {}
    for name in catalogue:
        if name not in _CATALOGUE:
            raise NeedsAPerson(
                f"{_FILE}: vars.catalogue: {name}: the catalogue has {' and '.join(_CATALOGUE)} only; correct the name."
            )
        for entry, said in _mapping(catalogue[name], f"vars.catalogue.{name}").items():
            _check_from(said, f"vars.catalogue.{name}: {entry}")
    return found


def _check_from(entry: Any, where: str) -> None:
    if not isinstance(entry, dict) or "from" not in entry:
        return
    paths = entry["from"]
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) and path.strip() for path in paths):
        raise NeedsAPerson(
            f"{_FILE}: {where}: from is {paths!r}; write a list of one or more keys, e.g. from: [key, object.key]."
        )


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NeedsAPerson(f"{_FILE}: {where} must be a mapping (name: what it is), not {value!r}.")
    return value


class _OnceOnly(yaml.SafeLoader):
    """Of a key that stands twice YAML keeps the last, which nobody means."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise NeedsAPerson(
                    f"{_FILE}, line {key.start_mark.line + 1}: '{key.value}' stands twice in one mapping; remove one of the two."
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
