"""What builds made in the warehouse of a home, also after the project has forgotten it.

`<home>/relations.json` names the relations of every manifest that this home built, by engine. Those that the manifest in
force does not name are left behind: `cdp status` shows them, and a full refresh drops them. Tables that a person made in
the same schemas are never among them.
"""

import json
from typing import Any

from cdp_orchestration.disk import whole_file
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Reading, target


def relations_of(manifest: dict[str, Any]) -> dict[str, str]:
    """'schema.name' -> 'view' or 'table' of every model and seed that becomes a relation."""
    return {
        f"{node['schema']}.{node['alias']}": "view" if node["config"].get("materialized") == "view" else "table"
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed") and node["config"].get("materialized") != "ephemeral"
    }


def _with_parts(manifest: dict[str, Any]) -> dict[str, str]:
    """With the tables that attributes keep beside themselves (macros/attributes/in_part.sql)."""
    parts = {
        f"{node['schema']}.{node['alias']}__part": "table"
        for node in manifest["nodes"].values()
        if ((node["config"].get("meta") or {}).get("recomputed") or {}).get("part") is not None
    }
    return relations_of(manifest) | parts


def models_of(manifest: dict[str, Any], schema: str) -> list[str]:
    """Names of the relations that a layer has in the manifest, sorted."""
    return sorted(name.partition(".")[2] for name in relations_of(manifest) if name.startswith(f"{schema}."))


def remember(home: Home, manifest: dict[str, Any]) -> None:
    """Note the relations of a manifest that is, or was, built in this home."""
    known = _all(home)
    before = dict(known.get(target(), {}))
    known[target()] = {**before, **_with_parts(manifest)}
    if known[target()] != before:
        _write(home, known)


def left_behind(home: Home, manifest: dict[str, Any]) -> dict[str, str]:
    """'schema.name' -> 'view' or 'table' of the relations that only earlier manifests of this home name."""
    current = _with_parts(manifest)
    return {name: kind for name, kind in sorted(_all(home).get(target(), {}).items()) if name not in current}


def forget(home: Home, names: list[str]) -> None:
    """Note that these relations are gone."""
    known = _all(home)
    known[target()] = {name: kind for name, kind in known.get(target(), {}).items() if name not in names}
    _write(home, known)


def existing(connection: Reading, names: list[str]) -> list[str]:
    """Those of the relations 'schema.name' that are in the warehouse."""
    found = connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
    there = {f"{schema}.{name}" for schema, name in found}
    return [name for name in names if name in there]


def _all(home: Home) -> dict[str, dict[str, str]]:
    file = home.root / "relations.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _write(home: Home, known: dict[str, dict[str, str]]) -> None:
    with whole_file(home.root / "relations.json") as file:
        file.write(json.dumps(known, indent=1, sort_keys=True).encode())
