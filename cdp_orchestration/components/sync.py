"""A sync as a Dagster asset: what its destination holds. Syncs are found in dbt's manifest (config.meta.sync)."""

import logging
from contextlib import suppress
from typing import Any

import dagster as dg

from cdp_orchestration.components import runs
from cdp_orchestration.components.failures import RETRY, as_dagster_failure
from cdp_orchestration.components.markdown import markdown_table
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.declared import read_sync
from cdp_orchestration.delivery.deliver import deliver
from cdp_orchestration.delivery.permission import kept_at_home
from cdp_orchestration.delivery.sending import Summary
from cdp_orchestration.delivery.sync import Sync
from cdp_orchestration.errors import CdpError, NeedsAPerson
from cdp_orchestration.home import current_home
from cdp_orchestration.warehouse import Warehouse

log = logging.getLogger("cdp")

GROUP = "destinations"


def sync_asset(node: dict[str, Any], upstream_checks: list[dg.AssetCheckKey]) -> dg.AssetsDefinition:
    """The asset [destination, sync]: materialising it delivers. A sync with a faulty declaration says so when it runs."""
    destination = ((node["config"].get("meta") or {}).get("sync") or {}).get("destination") or "undeclared"

    @dg.asset(
        key=[str(destination), node["name"]],
        deps=[dg.AssetKey([node["schema"], node["alias"]])],
        group_name=GROUP,
        kinds={"sync"},
        description=f"{node['description']} Delivered to {destination}; declared in {str(node.get('patch_path')).removeprefix('cdp://')}.",
        retry_policy=RETRY,
        automation_condition=dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed(),
        op_tags={"cdp/layer": "delivery"},
    )
    def push(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        runs.sign(context.instance, context.run_id)
        with as_dagster_failure(node["name"]):
            sync = read_sync(node)
            refuse_after_failed_checks(context.instance, sync, upstream_checks)
            return _result(sync, _delivered(sync, context.run_id))

    return push


def _delivered(sync: Sync, run_id: str) -> Summary | str:
    """What the delivery did, or why there was none."""
    home = current_home()
    connected = connections("destinations")[sync.destination]
    if connected.is_waiting:
        log.info(
            f"{sync.name}: waits, as {sync.destination} is not connected (set {connected.waits_for}; {connected.where})"
        )
        return f"waiting: {sync.destination} is not connected"
    destination = connected.destination(home, sync.target, sync.mode)
    held_back = kept_at_home(destination, sync.destination)
    if held_back:
        destination.close()
        log.info(f"{sync.name}: nothing was sent: {held_back}")
        return held_back
    warehouse = Warehouse(home)
    try:
        summary = deliver(sync, destination, warehouse, home, run_id)
    except Exception:
        with suppress(CdpError):  # the ledger knows; the next load brings it to the warehouse
            warehouse.load()
        raise
    finally:
        destination.close()
    warehouse.load()
    return summary


def _result(sync: Sync, summary: Summary | str) -> dg.MaterializeResult:
    if isinstance(summary, str):
        return dg.MaterializeResult(metadata={"status": summary})
    metadata: dict[str, Any] = {
        "dagster/row_count": summary.held,
        "sent": dg.MetadataValue.md(
            markdown_table(["operation", "planned", "accepted", "refused", "failed", "not attempted"], summary.rows())
        ),
        "ladder": dg.MetadataValue.md(markdown_table(["rung", "rows"], summary.ladder())),
        "withheld": summary.withheld,
        "shared": summary.shared,
        "held at earlier addresses": summary.elsewhere,
        "problems": dg.MetadataValue.md("\n".join(f"- {problem}" for problem in summary.problems) or "none"),
    }
    if summary.stopped:
        raise CdpError(f"{sync.name}: {summary.stopped}")
    return dg.MaterializeResult(metadata=metadata)


def refuse_after_failed_checks(
    instance: dg.DagsterInstance, sync: Sync, upstream_checks: list[dg.AssetCheckKey]
) -> None:
    """Promise 4: a failed blocking check of anything upstream holds the push, also when a person or another run asks.

    Raises NeedsAPerson naming the checks.
    """
    failed = [
        f"{key.name} on {key.asset_key.to_user_string()}"
        for key, evaluation, _ in runs.failed_checks(instance, upstream_checks)
        if evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    if failed:
        raise NeedsAPerson(
            f"{sync.name} is held: the last check failed ({'; '.join(sorted(failed)[:5])}). "
            "Correct the data or the model and build again; nothing was sent."
        )
