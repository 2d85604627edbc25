"""What is connected: the defs.yaml files under defs/sources and defs/destinations, checked against their kind.

A folder is a connection, its name is the connection's name. Templates in the values are rendered when they are used
(settings.py), so a missing secret is told by the connector that needs it.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic
import yaml

from cdp_orchestration import destinations, settings, sources
from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.home import PROJECT_ROOT, Home

DEFS = Path(__file__).resolve().parent / "defs"


@dataclass(frozen=True)
class Connection:
    """One defs.yaml: `kind` names a connector, `attributes` are its fields, unrendered."""

    name: str
    kind: str
    attributes: dict[str, Any]
    schedule: str | None
    waits_for: str | None
    where: str

    @property
    def is_waiting(self) -> bool:
        """Whether the connection waits for an environment variable (`waits_for`) that is not set yet."""
        return bool(self.waits_for) and not os.environ.get(str(self.waits_for))

    def rendered(self) -> dict[str, Any]:
        """The attributes with templates filled in. Raises StopAndTell for a missing variable."""
        return settings.render(self.attributes, self.where)

    def source(self, home: Home) -> sources.Source:
        """The connector, ready to pull."""
        connector = sources.KINDS[self.kind]
        return connector(_validated(connector.Config, self.rendered(), self.where), home.root)

    def destination(self, home: Home) -> destinations.Destination:
        """The connector, ready to send."""
        connector = destinations.KINDS[self.kind]
        return connector(_validated(connector.Config, self.rendered(), self.where), home.root)

    @cached_property
    def streams(self) -> list[str]:
        """Names of a source's streams."""
        return sorted(self.attributes.get("streams", {}))


def connection(side: str, name: str, attributes: dict[str, Any], where: str) -> Connection:
    """A checked connection. `side` is 'sources' or 'destinations'. Raises StopAndTell naming file, field and remedy."""
    kinds: dict[str, Any] = sources.KINDS if side == "sources" else destinations.KINDS
    attributes = dict(attributes)
    schedule = attributes.pop("schedule", None) if side == "sources" else None
    waits_for = attributes.pop("waits_for", None) if side == "destinations" else None
    kind = attributes.get("kind")
    if kind not in kinds:
        raise StopAndTell(f"{where}: field 'kind' is {kind!r}; use one of {', '.join(sorted(kinds))}.")
    _validated(kinds[kind].Config, attributes, where)
    return Connection(name, kind, attributes, schedule, waits_for, where)


def connections(side: str, folder: Path | None = None) -> dict[str, Connection]:
    """All connections of a side, by name."""
    found = {}
    for file in sorted(((folder or DEFS) / side).glob("*/defs.yaml")):
        where = shown(file)
        try:
            content = yaml.safe_load(file.read_text()) or {}
        except yaml.YAMLError as error:
            raise StopAndTell(f"{where}: is not valid YAML: {error}") from None
        found[file.parent.name] = connection(side, file.parent.name, content.get("attributes") or {}, where)
    return found


def shown(file: Path) -> str:
    """A file as a person looks for it: relative to the project where possible."""
    return str(file.relative_to(PROJECT_ROOT)) if file.is_relative_to(PROJECT_ROOT) else str(file)


def _validated(model: Any, values: dict[str, Any], where: str) -> Any:
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        told = []
        for problem in error.errors():
            field = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                known = ", ".join(sorted(model.model_fields))
                told.append(f"unknown field '{field}': remove it or correct its spelling (fields here: {known})")
            elif problem["type"] == "missing":
                told.append(f"field '{field}' is missing: add it")
            else:
                told.append(f"field '{field}': {problem['msg']}")
        raise StopAndTell(f"{where}: " + "; ".join(told) + ".") from None
