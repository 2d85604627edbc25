"""`cdp status`: last run per asset, rows, quarantine, backlog per sync."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from rich.console import Console

from cdp_orchestration import relations, reports
from cdp_orchestration.components.sync import declared, parsed
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.plan import backlog
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import Home
from cdp_orchestration.manifest import current_manifest
from cdp_orchestration.pipeline import load_definitions
from cdp_orchestration.unread import unread_files
from cdp_orchestration.warehouse import NothingBuilt, Warehouse

UNREAD_SHOWN = 50

# In the order data flows.
GROUPS = ["sources", "staging", "identity", "profiles", "attributes", "audiences", "activation", "destinations"]


def show_status(home: Home, console: Console) -> None:
    """Print it all; where nothing was built yet, say so."""
    definitions = load_definitions()
    console.print(f"CDP_HOME {home.root}\n", soft_wrap=True)
    with dg.DagsterInstance.get() as instance:
        console.print(reports.table("Assets", ["asset", "group", "last run", "rows"], _assets(definitions, instance)))
    if files := _unread(home):
        console.print()
        console.print(reports.table("Files that no stream reads", ["source", "file", "why"], files))
    manifest = current_manifest(home)
    try:
        with Warehouse(home).reading() as connection:
            left = relations.existing(connection, list(relations.left_behind(home, manifest)))
            console.print()
            console.print(reports.table(
                "Records", ["stream", "landed", "accepted", "duplicate", "quarantined"], reports.intake(connection)))  # fmt: skip
            build = connection.execute(
                "select as_of, through_batch_seq, build_id from staging.current_build"
            ).fetchone()
        if build:
            console.print(f"\nLast build: as of {build[0]}, through batch {build[1]}, run {build[2]}", soft_wrap=True)
        if left:
            console.print(
                f"\nLeft behind by models that the project no longer has: {', '.join(left)}. "
                "`cdp run --full-refresh` drops them.", soft_wrap=True,
            )  # fmt: skip
    except NothingBuilt as nothing:
        console.print(f"\n{nothing}", soft_wrap=True)
        return
    console.print()
    columns = ["sync", "destination", "holds", "owes add", "update", "remove", "withheld", "state"]
    console.print(reports.table("Syncs", columns, _syncs(home, manifest)))


def _assets(definitions: dg.Definitions, instance: dg.DagsterInstance) -> list[tuple[str, str, str, object]]:
    graph = definitions.resolve_asset_graph()
    rows: list[tuple[str, str, str, object]] = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if not node.is_materializable:
            continue
        event = instance.get_latest_materialization_event(key)
        if event is None or event.asset_materialization is None:
            rows.append((key.to_user_string(), node.group_name, "never", None))
            continue
        count = event.asset_materialization.metadata.get("dagster/row_count")
        at = datetime.fromtimestamp(event.timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append((key.to_user_string(), node.group_name, at, count.value if count else None))
    return sorted(rows, key=lambda row: GROUPS.index(row[1]) if row[1] in GROUPS else len(GROUPS))


def _unread(home: Home) -> list[tuple[str, str, str]]:
    """Of each source the first files that are not read, and how many more there are."""
    rows = []
    for source, files in unread_files(home).items():
        rows += [(source, name, why) for name, why in files[:UNREAD_SHOWN]]
        if len(files) > UNREAD_SHOWN:
            rows.append((source, f"… and {len(files) - UNREAD_SHOWN:,} more", ""))
    return rows


def _syncs(home: Home, manifest: dict[str, Any]) -> list[tuple[object, ...]]:
    known = connections("destinations")
    rows: list[tuple[object, ...]] = []
    for node in declared(manifest):
        try:
            sync = parsed(node)
            owed = backlog(sync, Warehouse(home), home)
            waiting = known[sync.destination]
            state = f"waits for {waiting.waits_for}" if waiting.is_waiting else "connected"
            rows.append((sync.name, sync.destination, owed["held"], owed["add"], owed["update"], owed["remove"],
                         owed["withheld"], state))  # fmt: skip
        except CdpError as error:
            rows.append((node["name"], "", None, None, None, None, None, str(error)))
    return rows
