"""`cdp status`: last run per asset, rows, quarantine, backlog per sync."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from rich.console import Console

from cdp_orchestration import relations, reports, syncs
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.places import NOWHERE, Place
from cdp_orchestration.delivery.plan import backlog, holdings
from cdp_orchestration.delivery.sync import read_sync
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import Home
from cdp_orchestration.manifest import current_manifest
from cdp_orchestration.pipeline import load_definitions
from cdp_orchestration.streams import landed_not_read, read_streams
from cdp_orchestration.unread import unread_files
from cdp_orchestration.warehouse import NothingBuilt, Reading, Warehouse

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
            columns = ["stream", "landed", "accepted", "duplicate", "quarantined", "state"]
            console.print(reports.table("Records", columns, _records(home, manifest, connection)))
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
    columns = ["sync", "destination", "holds", "owes add", "update", "remove", "withheld", "shared", "state"]
    console.print(reports.table("Syncs", columns, _syncs(home)))


def _records(home: Home, manifest: dict[str, Any], connection: Reading) -> reports.Rows:
    """Streams of messages, then what landed and becomes none: tables, and what nothing reads."""
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


def _unread(home: Home) -> list[tuple[str, str, str]]:
    """Of each source the first files that are not read, and how many more there are."""
    rows = []
    for source, files in unread_files(home).items():
        rows += [(source, name, why) for name, why in files[:UNREAD_SHOWN]]
        if len(files) > UNREAD_SHOWN:
            rows.append((source, f"… and {len(files) - UNREAD_SHOWN:,} more", ""))
    return rows


def _syncs(home: Home) -> list[tuple[object, ...]]:
    """A line per sync; below it, and for syncs whose model is gone, a line per place that still holds rows of it."""
    ledger = Ledger(home.deliveries)
    rows: list[tuple[object, ...]] = []
    nodes = syncs.models_of(home)
    for node in nodes.values():
        try:
            sync = read_sync(node)
            address, state = _address(home, sync.destination)
            owed = backlog(sync, Warehouse(home), home, address)
            rows.append((sync.name, sync.destination, owed["held"], owed["add"], owed["update"], owed["remove"],
                         owed["withheld"], owed["shared"], state))  # fmt: skip
            if owed["elsewhere"]:
                here = Place(sync.destination, address) if address else ledger.last_place(sync.name, sync.destination)
                rows += _left(ledger, sync.name, here, "its earlier address")
        except CdpError as error:
            rows.append((node["name"], "", None, None, None, None, None, None, str(error)))
    for name in ledger.syncs():
        if name not in nodes:
            rows += _left(ledger, name, None, "its model is gone")
    return rows


def _address(home: Home, destination: str) -> tuple[str | None, str]:
    """Where a destination is, as far as it can be told now, and its state in words."""
    connected = connections("destinations")[destination]
    if connected.is_waiting:
        return None, f"waits for {connected.waits_for}"
    try:
        made = connected.destination(home)
    except CdpError as error:
        return None, str(error)
    try:
        return made.address(), "connected"
    finally:
        made.close()


def _left(ledger: Ledger, sync: str, here: Place | None, why: str) -> list[tuple[object, ...]]:
    return [
        (sync, place.destination or "unknown", held, None, None, None, None, None,
         f"{why}: {place} still holds these. `cdp sync {sync} --remove-all` or `--let-go`")
        for place, held in holdings(ledger, sync, here or NOWHERE).items() if place != here
    ]  # fmt: skip
