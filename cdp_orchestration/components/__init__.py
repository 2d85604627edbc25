"""How Dagster wraps connectors, the dbt project and syncs. Nobody edits these to add something."""

from cdp_orchestration.components.destination import Destination
from cdp_orchestration.components.source import Source

__all__ = ["Destination", "Source"]
