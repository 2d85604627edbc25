"""What an operator sees on a materialisation: how many rows a model has, and the first few of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from cdp_orchestration.components.audience_metadata import about_all, audience_charts
from cdp_orchestration.components.markdown import markdown_table
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import NothingBuilt, QueryFailed, Reading, Warehouse

SAMPLE_ROWS = 5
ABOUT_ALL_AUDIENCES = (["audiences", "coverage"], ["audiences", "overlap"])


def with_samples(
    context: dg.AssetExecutionContext,
    events: Iterable[Any],
    home: Home,
    streams: Mapping[tuple[str, ...], tuple[str, str]],
) -> Iterator[Any]:
    """The events, with row count and sample added to each model's materialisation. The staging views in `streams` (asset path:
    source, stream) would parse everything that ever landed: of them it is the number of records that the builds read."""
    charts: dict[str, dict[str, Any]] | None = None
    try:
        with Warehouse(home).reading() as connection:
            for event in events:
                if isinstance(event, dg.Output):
                    key = context.asset_key_for_output(event.output_name)
                    stream = streams.get(tuple(key.path))
                    if key.path in ABOUT_ALL_AUDIENCES:
                        seen = about_all(connection, key.path[1])
                    else:
                        seen = _read_of(connection, *stream) if stream else _look(connection, key.path)
                    metadata = {**event.metadata, **seen}
                    if key.path == ["identity", "identifiers"]:
                        metadata |= _health(connection)
                    if key.path[0] == "audiences":
                        charts = audience_charts(connection) if charts is None else charts
                        metadata |= charts.get(key.path[1], {})
                    yield dg.Output(event.value, output_name=event.output_name, metadata=metadata)
                else:
                    yield event
    except NothingBuilt:
        yield from events


def _look(connection: Reading, path: list[str]) -> dict[str, Any]:
    relation = ".".join(f'"{part}"' for part in path)
    try:
        counted = connection.execute(f"select count(*) from {relation}").fetchone()
        cursor = connection.execute(f"select * from {relation} limit {SAMPLE_ROWS}")
    except QueryFailed:  # a view whose input went away: the build has reported it
        return {}
    names = [column[0] for column in cursor.description or []]
    return {
        "dagster/row_count": counted[0] if counted else 0,
        "sample": dg.MetadataValue.md(markdown_table(names, cursor.fetchall())),
    }


def _read_of(connection: Reading, source: str, stream: str) -> dict[str, Any]:
    try:
        counted = connection.execute(
            "select count(*) from staging.intake where source = ? and stream = ?", [source, stream]
        ).fetchone()
    except QueryFailed:
        return {}
    return {"dagster/row_count": counted[0] if counted else 0}


def _health(connection: Reading) -> dict[str, Any]:
    """identity.health as Dagster's metadata: one entry per measure, and the numbers that a person would plot."""
    try:
        rows = connection.execute(
            "select measure, detail, amount from identity.health order by measure, amount desc"
        ).fetchall()
        vitals = connection.execute(
            "select profiles, merged, refusals, largest_profile from identity.vitals "
            "order by coalesce(resolution_no, 0) desc, as_of desc limit 1"
        ).fetchone()
    except QueryFailed:
        return {}
    entries: dict[str, Any] = {}
    for measure in dict.fromkeys(row[0] for row in rows):
        lines = [(detail, f"{amount:,.4g}") for name, detail, amount in rows if name == measure]
        entries[measure] = dg.MetadataValue.md(markdown_table([measure, "amount"], lines))
    return entries | dict(zip(("profiles", "merged", "refusals", "largest_profile"), vitals or (), strict=False))
