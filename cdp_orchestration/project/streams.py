"""Which landed streams become messages, which only describe (tables), and which nothing reads.

A stream is read when the list of streams in arrivals.sql names its staging model. A source whose twin says
`meta: {stream: table}` is a table: models may join it, and it has no messages. The rest has landed and is not read.
"""

from dataclasses import dataclass
from typing import Any

from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing

ARRIVALS = "model.cdp.arrivals"
Stream = tuple[str, str]


def sources_of(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The dbt sources that stand for landed streams, by unique_id."""
    return {key: node for key, node in manifest["sources"].items() if node["source_name"] != "cdp"}


def is_table(source: dict[str, Any]) -> bool:
    meta = (source.get("config") or {}).get("meta") or source.get("meta") or {}
    return bool(meta.get("stream") == "table")


def read_streams(manifest: dict[str, Any]) -> set[Stream]:
    """What the list of streams reads; the macro read_streams says the same to the checks in SQL."""
    sources = sources_of(manifest)
    listed = manifest["nodes"][ARRIVALS]["depends_on"]["nodes"]
    origins = {origin for name in listed if name in manifest["nodes"]
               for origin in manifest["nodes"][name]["depends_on"]["nodes"]}  # fmt: skip
    return {
        (node["source_name"], node["name"]) for key, node in sources.items() if key in origins and not is_table(node)
    }


def staging_views(manifest: dict[str, Any]) -> dict[tuple[str, ...], Stream]:
    """The staging models in the list of streams that are views: (schema, name) and the stream that each reads."""
    sources = sources_of(manifest)
    found: dict[tuple[str, ...], Stream] = {}
    for key in manifest["nodes"][ARRIVALS]["depends_on"]["nodes"]:
        node = manifest["nodes"].get(key)
        if node and node["config"]["materialized"] == "view":
            for origin in node["depends_on"]["nodes"]:
                if origin in sources and not is_table(sources[origin]):
                    found[node["schema"], node["alias"]] = (sources[origin]["source_name"], sources[origin]["name"])
    return found


def tables(manifest: dict[str, Any]) -> set[Stream]:
    return {(node["source_name"], node["name"]) for node in sources_of(manifest).values() if is_table(node)}


def table_models(manifest: dict[str, Any]) -> dict[Stream, str]:
    """'schema.name' of the relation that table_stream() makes of a stream."""
    found: dict[Stream, str] = {}
    for node in manifest["nodes"].values():
        table = (node["config"].get("meta") or {}).get("table") if node["resource_type"] == "model" else None
        if table:
            found[table["source"], table["stream"]] = f"{node['schema']}.{node['alias']}"
    return found


def _counted(amount: int, one: str, many: str = "") -> str:
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


@dataclass(frozen=True)
class Unread:
    """A stream that landed and is not read: a table, or one that nothing knows."""

    source: str
    stream: str
    batches: int
    records: int
    is_table: bool

    def sentence(self) -> str:
        landed = f"{_counted(self.records, 'record')} in {_counted(self.batches, 'batch', 'batches')}"
        name = f"{self.source}.{self.stream}"
        return f"{name}: a table, {landed}" if self.is_table else (
            f"{name}: landed, not read ({landed}): no staging model in the list of streams (arrivals.sql) reads it. To read it, "
            f"add dbt_project/models/1_staging/stg_{self.source}__{self.stream}.sql and its line in that list; if it only "
            f"describes, say `meta: {{stream: table}}` in the twin that declares it."
        )  # fmt: skip


def landed_not_read(home: Home, manifest: dict[str, Any]) -> list[Unread]:
    """What landed in this home and becomes no message, by name: tables and what nothing reads."""
    landing = Landing(home.landing)
    known, described = read_streams(manifest), tables(manifest)
    found = []
    for source, stream in landing.streams():
        if (source, stream) in known:
            continue
        batches = landing.batches(source, stream)
        if batches:
            records = sum(batch.records for batch in batches)
            found.append(Unread(source, stream, len(batches), records, (source, stream) in described))
    return found
