"""What landed, in reach of the warehouse: what a build needs before dbt begins."""

from typing import Any

from cdp_orchestration.compaction import compact_if_due
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.warehouse import Warehouse


def prepare(home: Home, manifest: dict[str, Any]) -> None:
    """Folders and empty files that dbt's sources read, so that a source without data is empty and not an error."""
    landing = Landing(home.landing)
    landing.recover()
    for source in manifest["sources"].values():
        if source["source_name"] != "cdp":
            landing.prepare(source["source_name"], source["name"])
    Ledger(home.deliveries).prepare()
    compact_if_due(home)


def load_landing(home: Home, manifest: dict[str, Any]) -> None:
    """What landed, in reach of the warehouse's engine: loaded where it does not read files in place."""
    prepare(home, manifest)
    streams = [(s["source_name"], s["name"]) for s in manifest["sources"].values() if s["source_name"] != "cdp"]
    Warehouse(home).load(sorted(streams))
