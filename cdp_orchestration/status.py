"""`cdp status`: last run per asset, rows, quarantine, backlog per sync."""

import json
from datetime import UTC, datetime

import dagster as dg
from rich.console import Console

from cdp_orchestration import reports
from cdp_orchestration.components.sync import declared, parsed
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.plan import backlog
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import Home
from cdp_orchestration.pipeline import load_definitions
from cdp_orchestration.project import dbt_project
from cdp_orchestration.streams import landed_not_read, read_streams
from cdp_orchestration.warehouse import NothingBuilt, Reading, Warehouse

# In the order data flows.
GROUPS = ["sources", "staging", "identity", "profiles", "attributes", "audiences", "activation", "destinations"]


def show_status(home: Home, console: Console) -> None:
    """Print it all; where nothing was built yet, say so."""
    definitions = load_definitions()
    console.print(f"CDP_HOME {home.root}\n", soft_wrap=True)
    with dg.DagsterInstance.get() as instance:
        console.print(reports.table("Assets", ["asset", "group", "last run", "rows"], _assets(definitions, instance)))
    try:
        with Warehouse(home).reading() as connection:
            console.print()
            columns = ["stream", "landed", "accepted", "duplicate", "quarantined", "state"]
            console.print(reports.table("Records", columns, _records(home, connection)))
            build = connection.execute(
                "select as_of, through_batch_seq, build_id from staging.current_build"
            ).fetchone()
        if build:
            console.print(f"\nLast build: as of {build[0]}, through batch {build[1]}, run {build[2]}", soft_wrap=True)
    except NothingBuilt as nothing:
        console.print(f"\n{nothing}", soft_wrap=True)
        return
    console.print()
    console.print(reports.table(
        "Syncs", ["sync", "destination", "holds", "owes add", "update", "remove", "withheld", "state"], _syncs(home)))  # fmt: skip


def _records(home: Home, connection: Reading) -> reports.Rows:
    """Streams of messages, then what landed and becomes none: tables, and what nothing reads."""
    manifest = json.loads(dbt_project(home).manifest_path.read_text())
    known = {f"{source}.{stream}" for source, stream in read_streams(manifest)}
    rows: reports.Rows = [(*row, "") for row in reports.intake(connection) if row[0] in known]
    for unread in landed_not_read(home, manifest):
        state = "table" if unread.is_table else "landed, not read"
        rows.append((f"{unread.source}.{unread.stream}", unread.records, None, None, None, state))
    return rows


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


def _syncs(home: Home) -> list[tuple[object, ...]]:
    manifest = json.loads(dbt_project(home).manifest_path.read_text())
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
