"""What the staging models map: of each stream, which field of a record becomes what.

mapping() and table_stream() leave it in the manifest (`meta: mapping`, `meta: table`). A source that speaks the Segment spec is
mapped by the spec. Of a model written by hand, its SQL tells which column mentions a field.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes

from cdp_orchestration.project.streams import sources_of
from cdp_orchestration.project.variables import project_variables


@dataclass(frozen=True)
class Mapped:
    """A field (a path with dots; None: no field, a constant) and what becomes of it: `identifier email`, `trait country`, …"""

    field: str | None
    target: str
    name: str | None = None
    how: str | None = None

    def __str__(self) -> str:
        said = f"{self.target} {self.name}" if self.name else self.target
        return f"{said} ({self.how})" if self.how else said


# The Segment spec: macros/segment.sql. A star stands for any name.
_SPEC: list[tuple[str, str, str | None]] = [
    ("type", "type", None), ("messageId", "message_id", None), ("userId", "identifier", "user_id"),
    ("anonymousId", "identifier", "anonymous_id"), ("previousId", "previous_id", None), ("event", "event", None),
    ("name", "event", None), ("category", "event", None), ("timestamp", "occurred_at", None),
    ("originalTimestamp", "occurred_at", None), ("sentAt", "occurred_at", None), ("receivedAt", "received_at", None),
    ("traits.email", "identifier", "email"), ("traits.phone", "identifier", "phone"),
    ("context.traits.email", "identifier", "email"), ("context.traits.phone", "identifier", "phone"),
    ("context.device.id", "identifier", "android_id or ios_id"), ("context.device.type", "identifier", "android_id or ios_id"),
    ("context.device.advertisingId", "identifier", "android_idfa or ios_idfa"),
    ("context.device.adTrackingEnabled", "identifier", "android_idfa or ios_idfa"),
    ("context.externalIds", "identifier", "of their types"), ("context.consent.categoryPreferences.*", "consent", "*"),
    ("traits.*", "trait", "*"), ("context.traits.*", "trait", "*"), ("properties.*", "property", "*"), ("context.*", "context", "*"),
]  # fmt: skip
SEGMENT = [Mapped(*entry) for entry in _SPEC]


def private_names() -> set[str]:
    """The traits and event properties that the catalogue calls pii or special."""
    catalogue = project_variables().get("catalogue") or {}
    entries = [*(catalogue.get("traits") or {}).items(), *(catalogue.get("properties") or {}).items()]
    return {name for name, entry in entries if isinstance(entry, dict) and entry.get("pii", "none") != "none"}


def models_of(manifest: dict[str, Any], source: str, stream: str) -> list[dict[str, Any]]:
    """The staging models that read a stream."""
    sources = sources_of(manifest)
    keys = {key for key, node in sources.items() if (node["source_name"], node["name"]) == (source, stream)}
    return [
        node for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "1_staging" in node["fqn"] and keys & {*node["depends_on"]["nodes"]}
    ]  # fmt: skip


def mapped_by(model: dict[str, Any]) -> list[Mapped]:
    """What a staging model makes of the fields, in its own order."""
    meta = model["config"].get("meta") or {}
    if meta.get("mapping"):
        return [Mapped(each["field"], each["target"], each["name"], each["how"]) for each in meta["mapping"]]
    if meta.get("table"):
        return list(_of_table(meta["table"]))
    code = model.get("raw_code") or ""
    return SEGMENT if "segment_messages(" in code else list(_by_hand(code))


def _of_table(table: dict[str, Any]) -> Iterator[Mapped]:
    for key in table["key"]:
        if key not in table["columns"]:
            yield Mapped(key, "key")
    for name, declared in table["columns"].items():
        entry = {"type": declared} if isinstance(declared, str) else declared
        paths = entry.get("from") or [name]
        for path in [paths] if isinstance(paths, str) else paths:
            yield Mapped(path, "key" if name in table["key"] else "column", name, entry["type"])
    if table.get("cursor"):
        yield Mapped(table["cursor"], "cursor")


_LANDED = re.compile(r"landed\(\s*source\([^)]*\)\s*,(.*?)\)\s*\}\}", re.DOTALL)
_COLUMNS = {
    "message_id": "message_id", "record_key": "key", "event_name": "event", "type": "type", "occurred_at": "occurred_at",
    "received_at": "received_at", "identifiers": "identifier", "traits": "trait", "properties": "property",
    "context": "context", "consent": "consent", "previous_id": "previous_id",
}  # fmt: skip
_OTHERS = ("occurred_text", "occurred_is_impossible", "missing_field", "unusable_field")
_AS_COLUMN = re.compile(rf"\bas ({'|'.join([*_COLUMNS, *_OTHERS])})\b")


def _by_hand(code: str) -> Iterator[Mapped]:
    """The fields that landed() reads, and the columns of the last select whose SQL mentions them."""
    read = _LANDED.search(code)
    parts = _AS_COLUMN.split(code)  # SQL, column, SQL, column, …
    sqls, columns = parts[0::2], parts[1::2]
    sqls[0] = sqls[0].rpartition("select")[2]
    for field in re.findall(r"'([^']+)'", read[1]) if read else []:
        for column, sql in zip(columns, sqls, strict=False):
            if column in _COLUMNS and re.search(rf"\b{re.escape(field)}\b", sql):
                yield Mapped(field, _COLUMNS[column])


def repeated_values(code: str) -> list[str]:
    """Keys that a dict literal in a model's Jinja has twice: of a value map, the earlier meaning would be lost without a word."""
    try:
        tree = jinja2.Environment(extensions=["jinja2.ext.do"]).parse(code)
    except jinja2.TemplateSyntaxError:
        return []  # dbt says it better
    found = []
    for literal in tree.find_all(nodes.Dict):
        keys = [str(pair.key.value) for pair in literal.items if isinstance(pair.key, nodes.Const)]
        found += [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    return found
