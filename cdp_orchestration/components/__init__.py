"""How Dagster wraps connectors, the dbt project and syncs; nothing else imports Dagster. Nobody edits these to add something."""

from cdp_orchestration.components.connection import Destination, Source

__all__ = ["Destination", "Source"]
