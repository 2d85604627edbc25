"""What is connected: the defs.yaml files under defs/sources and defs/destinations, checked against their kind.

A folder is a connection, its name is the connection's name. Templates in the values, `{{ env.NAME }}` and `{{ home }}`, are
rendered when they are used, not at load, so that one missing secret stops one connector and not the whole project.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import pydantic
import yaml
from jinja2.sandbox import SandboxedEnvironment

from cdp_orchestration.destinations.base import Destination, Mode
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home, current_home
from cdp_orchestration.kinds import DESTINATIONS, SOURCES
from cdp_orchestration.sources.base import Source

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
        """The attributes with templates filled in. Raises NeedsAPerson for a missing variable."""
        return render(self.attributes, self.where)

    def source(self, home: Home) -> Source:
        """The connector, ready to pull."""
        connector = SOURCES[self.kind]
        return connector(_validated(connector.Config, self.rendered(), self.where), home.root)

    @property
    def connector(self) -> type[Destination]:
        """The kind of a destination."""
        return DESTINATIONS[self.kind]

    def destination(self, home: Home, target: Mapping[str, Any] | None = None, mode: Mode = "mirror") -> Destination:
        """The connector, ready to send what a sync with that target and mode says; without one: only to be asked about itself."""
        kind = self.connector
        config = _validated(kind.Config, self.rendered(), self.where)
        aimed = None if target is None else _validated(kind.Target, render(dict(target), self.where), self.where)
        return kind(config, home.root, aimed, mode)

    @cached_property
    def streams(self) -> list[str]:
        """Names of a source's streams."""
        return sorted(self.attributes.get("streams", {}))


def connection(side: str, name: str, attributes: dict[str, Any], where: str) -> Connection:
    """A checked connection. `side` is 'sources' or 'destinations'. Raises NeedsAPerson naming file, field and remedy."""
    kinds: dict[str, Any] = SOURCES if side == "sources" else DESTINATIONS
    attributes = dict(attributes)
    schedule = attributes.pop("schedule", None) if side == "sources" else None
    waits_for = attributes.pop("waits_for", None) if side == "destinations" else None
    kind = attributes.get("kind")
    if kind not in kinds:
        raise NeedsAPerson(f"{where}: field 'kind' is {kind!r}; use one of {', '.join(sorted(kinds))}.")
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
            raise NeedsAPerson(f"{where}: is not valid YAML: {error}") from None
        found[file.parent.name] = connection(side, file.parent.name, content.get("attributes") or {}, where)
    return found


def shown(file: Path) -> str:
    """A file as a person looks for it: relative to the project where possible."""
    return str(file.relative_to(PROJECT_ROOT)) if file.is_relative_to(PROJECT_ROOT) else str(file)


def _validated(model: Any, values: dict[str, Any], where: str) -> Any:
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        problems = []
        for problem in error.errors():
            field = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                known = ", ".join(sorted(model.model_fields))
                problems.append(f"unknown field '{field}': remove it or correct its spelling (fields here: {known})")
            elif problem["type"] == "missing":
                problems.append(f"field '{field}' is missing: add it")
            else:
                problems.append(f"field '{field}': {problem['msg']}")
        raise NeedsAPerson(f"{where}: " + "; ".join(problems) + ".") from None


class _Environment:
    """`env.NAME` in a template; an unset or empty variable is undefined, so that `default(...)` works on it."""

    def __getattr__(self, name: str) -> Any:
        value = os.environ.get(name)
        return value if value else jinja2.StrictUndefined(hint=name)


_jinja = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


def render(value: Any, where: str, field: str = "") -> Any:
    """`value` with every template in it rendered; dicts and lists are walked.

    `where` is the file that holds the value; it is named when a variable is missing.
    Raises NeedsAPerson for a missing variable or a malformed template.
    """
    if isinstance(value, dict):
        return {key: render(item, where, f"{field}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, where, f"{field}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str) or "{{" not in value:
        return value
    try:
        return _jinja.from_string(value).render(env=_Environment(), home=str(current_home().root))
    except jinja2.UndefinedError as error:
        raise NeedsAPerson(
            f"{where}: field '{field}' needs the environment variable {error}, which is not set. "
            f"Set it in the environment or in a .env file next to pyproject.toml."
        ) from None
    except jinja2.TemplateError as error:
        raise NeedsAPerson(f"{where}: field '{field}' is not a valid template: {error}") from None
