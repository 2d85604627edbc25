"""The rules fingerprint: what the meaning of landed data depends on. A change forces a rebuild, said aloud.

It covers `vars: identity`, `vars: catalogue` and the protection of `vars: sources`, the models of 1_staging and 2_identity,
and the macros they use.
"""

import hashlib
import json
from typing import Any

import yaml

from cdp_orchestration.home import PROJECT_ROOT
from cdp_orchestration.identity.protection import protections
from cdp_orchestration.warehouse import NothingBuilt, RelationMissing, Warehouse

LAYERS = ("1_staging", "2_identity")


def fingerprint(manifest: dict[str, Any]) -> str:
    """md5 hex over the rules in force."""
    variables = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text()).get("vars") or {}
    nodes = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and any(layer in node["fqn"] for layer in LAYERS)
    ]
    used: set[str] = set()
    waiting = [macro for node in nodes for macro in node["depends_on"]["macros"]]
    while waiting:
        macro = waiting.pop()
        if macro in used or not macro.startswith("macro.cdp.") or macro not in manifest["macros"]:
            continue
        used.add(macro)
        waiting += manifest["macros"][macro]["depends_on"]["macros"]
        # A dispatched macro names its implementations only at run time: all bodies of that name count.
        name = macro.rsplit(".", 1)[1]
        waiting += [other for other in manifest["macros"] if other.endswith(f"__{name}")]
    rules = {
        "identity": variables.get("identity"),
        "catalogue": variables.get("catalogue"),
        "protection": protections(),
        "models": {node["name"]: node["checksum"]["checksum"] for node in nodes},
        "macros": {macro: manifest["macros"][macro]["macro_sql"] for macro in used},
    }
    return hashlib.md5(json.dumps(rules, sort_keys=True).encode()).hexdigest()


def fingerprint_of_last_build(warehouse: Warehouse) -> str | None:
    """The fingerprint that the last build recorded; None where nothing was built."""
    try:
        with warehouse.reading() as connection:
            row = connection.execute(
                "select rules_fingerprint from staging.builds order by started_at desc limit 1"
            ).fetchone()
            return row[0] if row else None
    except (NothingBuilt, RelationMissing):
        return None
