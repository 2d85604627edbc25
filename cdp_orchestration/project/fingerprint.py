"""What the meaning of the warehouse depends on, as fingerprints.

Staging and identity go together: a change of theirs (`rules`) rebuilds everything. Of the layers below, each model that keeps
rows from build to build has a fingerprint of its own (definitions.py).
"""

import hashlib
import json
import re
from collections import defaultdict
from functools import cache
from typing import Any

from cdp_orchestration.identity.protection import protections
from cdp_orchestration.project.variables import project_variables
from cdp_orchestration.warehouse import NothingBuilt, RelationMissing, Warehouse

Parts = dict[str, str]  # what a model is made of, by the name that a person knows it by -> hash of what it says

LAYERS = ("1_staging", "2_identity")
REWRITTEN = ("view", "table", "ephemeral", "intermediate", "seed")  # materializations that each build makes anew
# Macros that look an entry of the catalogue up by the name that a model gives them; others read all entries.
BY_NAME = frozenset({"macro.cdp.event_column_types", "macro.cdp.profile_column_types"})
SAYS_NOTHING = ("description", "pii")  # of an entry of the catalogue: not of what is in the warehouse
NOT_OF_ROWS = ("docs", "tags", "group", "access", "persist_docs", "description")  # of a model's config
VARIABLE = re.compile(r"""\bvar\(\s*['"](\w+)['"][^)]*\)(?:\.get\(\s*['"](\w+)['"]|\[['"](\w+)['"]\])?""")


class Project:
    """The parts of each model: its file, config and contract, the macros and seeds it uses, the vars that these read."""

    def __init__(self, manifest: dict[str, Any], variables: dict[str, Any] | None = None) -> None:
        if variables is None:
            variables = project_variables()
        self.nodes: dict[str, dict[str, Any]] = manifest["nodes"]
        self.macros: dict[str, dict[str, Any]] = manifest["macros"]
        self.variables = variables
        # A dispatched macro names its implementations only at run time: all bodies of that name count.
        self.named: dict[str, list[str]] = defaultdict(list)
        for macro in self.macros:
            if macro.startswith("macro.cdp."):
                _, prefixed, name = macro.rsplit(".", 1)[1].rpartition("__")
                if prefixed:
                    self.named[name].append(macro)
        self._hash_of = cache(lambda macro: hashed(self.macros[macro]["macro_sql"]))

    def models(self) -> dict[str, dict[str, Any]]:
        return {key: node for key, node in self.nodes.items() if node["resource_type"] == "model"}

    def own(self, node: dict[str, Any]) -> Parts:
        """What a model is made of, without what it reads."""
        used = self._used(node)
        by_name = self._used(node, BY_NAME)
        parts = {node.get("original_file_path") or f"{node['name']}.sql": hashed([
            node["checksum"]["checksum"],
            {name: value for name, value in (node.get("config") or {}).items() if name not in NOT_OF_ROWS},
            _contract(node),
        ])}  # fmt: skip
        for macro in used:
            parts[f"macro {macro.rsplit('.', 1)[1]}"] = self._hash_of(macro)
        texts = [node.get("raw_code") or "", *(self.macros[macro]["macro_sql"] for macro in used)]
        whole = [node.get("raw_code") or "", *(self.macros[macro]["macro_sql"] for macro in by_name)]
        read_whole = {path for text in whole for path in _variables(text)}
        words = frozenset[str]().union(*(_words(text) for text in texts))
        for path in {path for text in texts for path in _variables(text)}:
            value = self.variables.get(path[0])
            if len(path) == 2 and isinstance(value, dict):
                value = value.get(path[1])
            if path == ("sources",) and _is_of(node, LAYERS):  # tiers decide on traits alone
                parts["vars.sources: protection"] = hashed(protections(value or {}))
                continue
            if path[0] != "catalogue" or not isinstance(value, dict):
                parts[f"vars.{'.'.join(path)}"] = hashed(value)
                continue
            for name, entry in value.items():
                if path in read_whole or str(name).lower() in words:
                    parts[f"vars.{'.'.join(path)}.{name}"] = hashed(_said(entry))
        return parts

    def _used(self, node: dict[str, Any], cut: frozenset[str] = frozenset()) -> set[str]:
        """The project's macros that a node calls, and those they call; `cut`: without these, and without what only they call."""
        used: set[str] = set()
        waiting = list(node["depends_on"].get("macros", []))
        while waiting:
            macro = waiting.pop()
            if macro in used or macro in cut or not macro.startswith("macro.cdp.") or macro not in self.macros:
                continue
            used.add(macro)
            waiting += self.macros[macro]["depends_on"]["macros"]
            waiting += self.named[macro.rsplit(".", 1)[1]]
        return used

    def below_identity(self) -> dict[str, dict[str, Any]]:
        """The models that are not of staging or identity."""
        return {key: node for key, node in self.models().items() if not _is_of(node, LAYERS)}

    def kept(self) -> dict[str, dict[str, Any]]:
        """The models below identity that keep rows from build to build, and that a full refresh makes anew."""
        return {
            key: node
            for key, node in self.below_identity().items()
            if node["config"].get("materialized") not in REWRITTEN and node["config"].get("full_refresh") is not False
        }

    def upstream(self, key: str) -> set[str]:
        """A model and everything below identity that it reads, directly or not: models and seeds."""
        found, waiting = set[str](), [key]
        while waiting:
            name = waiting.pop()
            node = self.nodes.get(name)
            if name not in found and node and not _is_of(node, LAYERS):
                found.add(name)
                waiting += node["depends_on"].get("nodes", [])
        return found

    def carried(self) -> dict[str, Parts]:
        """What each of those models carries in its rows: its parts and those of what it reads below identity."""
        own: dict[str, Parts] = {}
        found = {}
        for key in self.kept():
            parts: Parts = {}
            for name in self.upstream(key):
                if name not in own:
                    node = self.nodes[name]
                    own[name] = self.own(node) if node["resource_type"] == "model" else _content(node)
                parts |= own[name]
            found[key] = parts
        return found


def _is_of(node: dict[str, Any], layers: tuple[str, ...]) -> bool:
    return node["resource_type"] == "model" and any(layer in node["fqn"] for layer in layers)


def _contract(node: dict[str, Any]) -> dict[str, Any]:
    """The types that an enforced contract casts to."""
    if not ((node.get("config") or {}).get("contract") or {}).get("enforced"):
        return {}
    return {name: column.get("data_type") for name, column in node.get("columns", {}).items()}


def _content(node: dict[str, Any]) -> Parts:
    return {node.get("original_file_path") or node["name"]: hashed(node["checksum"]["checksum"])}


@cache
def _variables(text: str) -> frozenset[tuple[str, ...]]:
    """The vars that a text reads: (name,), or (name, key) where it takes one key at once."""
    return frozenset((name, first or second) if first or second else (name,)
                     for name, first, second in VARIABLE.findall(text))  # fmt: skip


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _said(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return {"type": entry}
    return {name: value for name, value in entry.items() if name not in SAYS_NOTHING}


def hashed(value: Any) -> str:
    return hashlib.md5(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint(manifest: dict[str, Any], variables: dict[str, Any] | None = None) -> str:
    """md5 hex over the rules in force: the models of staging and identity, the macros they use, the vars that these read, and
    the seeds of staging. (Identity's seed holds decisions, which take effect without a rebuild.)"""
    project = Project(manifest, variables)
    parts: Parts = {}
    for node in project.models().values():
        if _is_of(node, LAYERS):
            parts |= project.own(node)
        if _is_of(node, ("1_staging",)):
            for name in node["depends_on"].get("nodes", []):
                if name.startswith("seed."):
                    parts |= _content(project.nodes[name])
    return hashed(parts)


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
