"""`cdp catalogue`: the traits and event properties that are declared."""

from collections.abc import Iterator
from typing import Any

from cdp_orchestration.project.variables import project_variables
from cdp_orchestration.queries.answers import Answer, Rows

OLDER_NAMES = {"bigint": "integer", "double": "number"}


def declared(kind: str, variables: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """{name: entry} of `vars: catalogue: <kind>` (traits or properties), each entry a mapping with a type.

    `variables` are the vars of dbt_project.yml; left out, they are read. Nothing is checked: `cdp check` does that.
    """
    if variables is None:
        variables = project_variables()
    entries: dict[str, Any] = (variables.get("catalogue") or {}).get(kind) or {}
    found = {}
    for name, given in entries.items():
        entry = dict(given) if isinstance(given, dict) else {"type": given}
        found[name] = {**entry, "type": OLDER_NAMES.get(entry.get("type", ""), entry.get("type"))}
    return found


def catalogue(variables: dict[str, Any] | None = None) -> Iterator[Answer]:
    """What is declared of traits, then of event properties."""
    yield Rows(
        "Traits (columns of profiles.profiles)",
        ["trait", "type", "PII", "merge", "kept", "from", "description"],
        [
            (name, entry["type"], entry.get("pii", "none"), _merge(entry), _kept(entry), _paths(entry), _described(entry))
            for name, entry in declared("traits", variables).items()
        ],
    )  # fmt: skip
    yield Rows(
        "Event properties (columns of profiles.events)",
        ["property", "type", "PII", "from", "description"],
        [
            (name, entry["type"], entry.get("pii", "none"), _paths(entry), _described(entry))
            for name, entry in declared("properties", variables).items()
        ],
    )


def _merge(entry: dict[str, Any]) -> str:
    merge = str(entry.get("merge", "latest"))
    return f"{merge} of {entry['capacity']}" if "capacity" in entry else merge


def _kept(entry: dict[str, Any]) -> str:
    return f"{entry['ttl_days']} days" if "ttl_days" in entry else "for ever"


def _paths(entry: dict[str, Any]) -> str:
    return ", ".join(map(str, entry.get("from") or []))


def _described(entry: dict[str, Any]) -> str:
    return " ".join(str(entry.get("description") or "").split())
