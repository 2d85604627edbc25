"""Which models a build makes from the beginning, because what they are made of changed since their rows were written.

The warehouse holds the fingerprint of each such model in staging.definitions, written in the transaction that makes the model
anew (macros/definitions.sql): a build that dies in between leaves no model that counts as made and is not. The home's
`definitions.json` says, by engine, what the parts were at the end of the last good build; it only helps to name the change.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from cdp_orchestration.disk import whole_file
from cdp_orchestration.home import Home
from cdp_orchestration.project import relations
from cdp_orchestration.project.fingerprint import Parts, Project, hashed
from cdp_orchestration.warehouse import NothingBuilt, RelationMissing, Warehouse, target

SHOWN = 6
HALF_MADE = "(full refresh)"  # as macros/definitions.sql has it


@dataclass
class Changed:
    """models: names of those that this build makes anew, and of what follows from them; kept: of these the relations that would
    otherwise only be added to; fingerprints: what is to be recorded of each; parts: all that models are made of; because: what
    changed, in words."""

    models: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)
    parts: Parts = field(default_factory=dict)
    because: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What macros/definitions.sql reads."""
        return {"CDP_RECOMPUTED": json.dumps(self.models), "CDP_FINGERPRINTS": json.dumps(self.fingerprints)}

    def sentence(self) -> str:
        """Which definitions changed, and what is recomputed: the models that would otherwise only add to their rows."""
        made = f"recomputing {', '.join(_few(self.kept))} and what follows; identity stays as it is."
        if not self.because:
            return f"Nothing says by which definitions these were made to their end: {made}"
        return f"Definitions changed since the last build ({'; '.join(_few(self.because))}): {made}"


def changed(home: Home, manifest: dict[str, Any], full: bool, variables: dict[str, Any] | None = None) -> Changed:
    """What this build makes anew. In a `full` one everything is: nothing to tell, but all fingerprints to record. `variables`:
    those of the project, where they are not this checkout's."""
    project = Project(manifest, variables)
    carried = project.carried()
    found = Changed(parts={name: each for parts in carried.values() for name, each in parts.items()})
    fingerprints = {key: hashed(parts) for key, parts in carried.items()}
    kept = {key: project.nodes[key] for key in carried}
    recorded = None if full else _recorded(home, kept)
    if recorded is None:  # everything is made from the beginning
        found.fingerprints = {kept[key]["name"]: each for key, each in fingerprints.items()}
        return found
    begun = {key for key, each in fingerprints.items() if recorded.get(kept[key]["name"]) != each}
    below = project.below_identity()
    following = {key for key in below if project.upstream(key) & begun}
    found.models = sorted(below[key]["name"] for key in following)
    found.fingerprints = {kept[key]["name"]: fingerprints[key] for key in sorted(following & kept.keys())}
    found.kept = sorted(f"{kept[key]['schema']}.{kept[key]['name']}" for key in following & kept.keys())
    if begun:
        found.because = _differences(_noted(home), found.parts)
    return found


def _recorded(home: Home, kept: dict[str, dict[str, Any]]) -> dict[str, str] | None:
    """Model -> fingerprint under which its rows were made, of those that are there; None where nothing was built."""
    try:
        with Warehouse(home).reading() as connection:
            relation = {node["name"]: f"{node['schema']}.{node['alias']}" for node in kept.values()}
            there = set(relations.existing(connection, ["staging.builds", "staging.definitions", *relation.values()]))
            if "staging.builds" not in there:
                return None
            if "staging.definitions" not in there:
                return {}
            rows = connection.execute("select model_name, fingerprint from staging.definitions").fetchall()
            return {name: fingerprint for name, fingerprint in rows if relation.get(name) in there}
    except (NothingBuilt, RelationMissing):
        return None


def is_half_made(home: Home) -> bool:
    """Whether the last full refresh died before staging and identity were made: old and new rows stand side by side."""
    try:
        with Warehouse(home).reading() as connection:
            found = connection.execute(
                "select count(*) from staging.definitions where model_name = ?", [HALF_MADE]
            ).fetchone()
            return bool(found and found[0])
    except (NothingBuilt, RelationMissing):
        return False


def _differences(before: Parts, now: Parts) -> list[str]:
    if not before:
        return []
    words = [f"{name} (new)" if name not in before else name
             for name in now if before.get(name) != now[name]]  # fmt: skip
    return sorted(words + [f"{name} (gone)" for name in before if name not in now])


def _few(words: list[str]) -> list[str]:
    return words if len(words) <= SHOWN else [*words[:SHOWN], f"and {len(words) - SHOWN} more"]


def note(home: Home, parts: Parts) -> None:
    """Remember what the models of a good build were made of."""
    if _noted(home) != parts:
        known = _all(home)
        known[target()] = parts
        with whole_file(home.root / "definitions.json") as file:
            file.write(json.dumps(known, indent=1, sort_keys=True).encode())


def _noted(home: Home) -> Parts:
    return _all(home).get(target(), {})


def _all(home: Home) -> dict[str, Parts]:
    file = home.root / "definitions.json"
    return json.loads(file.read_text()) if file.exists() else {}
