"""`cdp status`: the last runs, what failed, what is owed, what is stale; records per stream; on request every asset."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cdp_orchestration import syncs
from cdp_orchestration.components import runs
from cdp_orchestration.components.run_pass import load_definitions
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.declared import read_sync
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.permission import kept_at_home
from cdp_orchestration.delivery.places import NOWHERE, Place
from cdp_orchestration.delivery.plan import backlog, holdings
from cdp_orchestration.delivery.sync import Sync
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.project.layers import LAYERS
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.project.parse import relations
from cdp_orchestration.project.streams import landed_not_read, read_streams
from cdp_orchestration.queries import counts
from cdp_orchestration.queries.answers import Answer, Lines, Rows
from cdp_orchestration.queries.protected import protected_sources
from cdp_orchestration.unread import unread_files
from cdp_orchestration.warehouse import NothingBuilt, Reading, Warehouse

UNREAD_SHOWN = 50
STALE_SHOWN = 5
RUNS_SEARCHED = 200
JOBS = {"__ASSET_JOB": "assets (chosen by hand, or by a condition)"}

# In the order data flows.
GROUPS = ["sources", *LAYERS, "destinations"]


def status(home: Home, everything: bool = False) -> Iterator[Answer]:
    """What an operator wants first: the last runs, what failed, what is owed, what is stale; then records, and with
    `everything` each asset. Where nothing was built yet, say so."""
    definitions = load_definitions()
    yield f"CDP_HOME {home.root}"
    with dg.DagsterInstance.get() as instance:
        columns = ["job", "ended", "took s", "result", "why"]
        yield Rows("Last runs", columns, _last_runs(instance))
        if failed := _failed_checks(definitions, instance):
            yield Rows("Failed checks", ["check", "asset", "at", "why"], failed)
        assets = _assets(definitions, instance)
    manifest = current_manifest(home)
    try:
        with Warehouse(home).reading() as connection:
            left = relations.existing(connection, list(relations.left_behind(home, manifest)))
            records = _records(home, manifest, connection)
            protected = protected_sources(connection)
            build = connection.execute(
                "select as_of, through_batch_seq, build_id from staging.current_build"
            ).fetchone()
    except NothingBuilt as nothing:
        yield str(nothing)
        build, records, left, protected = None, [], [], []
    else:
        columns = ["sync", "destination", "holds", "owes add", "update", "remove", "withheld", "shared", "state"]
        yield Rows("Syncs", columns, _syncs(home))
    if stale := _stale(home, assets, build[1] if build else None):
        yield Rows("Stale", ["what", "why"], stale)
    if files := _unread(home):
        yield Rows("Files that no stream reads", ["source", "file", "why"], files)
    if records:
        columns = ["stream", "landed", "accepted", "duplicate", "quarantined", "state"]
        yield Rows("Records", columns, records)
    if protected:
        yield Rows("Protected sources", ["source", "protection", "messages", "of nobody"], protected)
    if everything:
        yield Rows("Assets", ["asset", "group", "last run", "rows"], assets)
    if build:
        yield f"Last build: as of {build[0]}, through batch {build[1]}, run {build[2]}"
    if left:
        yield (
            f"Left behind by models that the project no longer has: {', '.join(left)}. "
            "`cdp run --full-refresh` drops them."
        )
    if not everything:
        yield "`cdp status --all` shows every asset, too."


def _last_runs(instance: dg.DagsterInstance) -> Lines:
    """The latest run of each job, the newest first."""
    rows: Lines = []
    seen: set[str] = set()
    for record in instance.get_run_records(limit=RUNS_SEARCHED):
        run = record.dagster_run
        if run.job_name in seen:
            continue
        seen.add(run.job_name)
        started, ended = record.start_time, record.end_time
        rows.append((
            JOBS.get(run.job_name, run.job_name),
            _shown(ended) if ended else "not yet",
            round(ended - started) if started and ended else None,
            run.status.value.lower(),
            "" if run.is_success or not run.is_finished else _why_it_failed(instance, run.run_id),
        ))  # fmt: skip
    return rows


def _why_it_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        failure = entry.dagster_event.step_failure_data if entry.dagster_event else None
        if failure and failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        if failure and failure.error:
            return " ".join(failure.error.message.split())
    return "it ended without a word"


def _failed_checks(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Lines:
    """Checks whose last result is a failure; warnings say that they are."""
    rows: Lines = []
    for key, evaluation, at in runs.failed_checks(instance, definitions.resolve_asset_graph().asset_check_keys):
        mark = "" if evaluation.severity == dg.AssetCheckSeverity.ERROR else " (warns)"
        rows.append((key.name + mark, key.asset_key.to_user_string(), _shown(at), evaluation.description or ""))
    return sorted(rows, key=str)


def _stale(home: Home, assets: list[tuple[str, str, str, object]], through: int | None) -> Lines:
    """What is older than what it is made from."""
    rows: Lines = []
    batches = [batch for batch in Landing(home.landing).batches() if through is not None and batch.batch_seq > through]
    if batches:
        waiting = sum(batch.records for batch in batches)
        rows.append((f"{len(batches):,} landed batches", f"the last build has not read them ({waiting:,} records)"))
    never = [name for name, group, at, _ in assets if at == "never" and group not in ("sources", "destinations")]
    if never and through is not None:
        shown = ", ".join(never[:STALE_SHOWN]) + (
            f" and {len(never) - STALE_SHOWN} more" if len(never) > STALE_SHOWN else ""
        )
        rows.append((shown, "not built yet"))
    return rows


def _shown(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _records(home: Home, manifest: dict[str, Any], connection: Reading) -> Lines:
    """Streams of messages, then what landed and becomes none: tables, and what nothing reads."""
    known = {f"{source}.{stream}" for source, stream in read_streams(manifest)}
    rows: Lines = [(*row, "") for row in counts.intake(connection) if row[0] in known]
    tables = counts.tables(connection, manifest)
    for unread in landed_not_read(home, manifest):
        state = "table" if unread.is_table else "landed, not read"
        became = tables.get((unread.source, unread.stream), (None, None, None))
        rows.append((f"{unread.source}.{unread.stream}", unread.records, *became, state))
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
        rows.append((key.to_user_string(), node.group_name, _shown(event.timestamp), count.value if count else None))
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
            address, state = _address(home, sync)
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


def _address(home: Home, sync: Sync) -> tuple[str | None, str]:
    """Where a destination is, as far as it is known now, and its state in words."""
    connected = connections("destinations")[sync.destination]
    if connected.is_waiting:
        return None, f"waits for {connected.waits_for}"
    try:
        made = connected.destination(home, sync.target, sync.mode)
    except CdpError as error:
        return None, str(error)
    try:
        return made.address(), kept_at_home(made, sync.destination) or "connected"
    finally:
        made.close()


def _left(ledger: Ledger, sync: str, here: Place | None, why: str) -> list[tuple[object, ...]]:
    return [
        (sync, place.destination or "unknown", held, None, None, None, None, None,
         f"{why}: {place} still holds these. `cdp sync {sync} --remove-all` or `--let-go`")
        for place, held in holdings(ledger, sync, here or NOWHERE).items() if place != here
    ]  # fmt: skip
