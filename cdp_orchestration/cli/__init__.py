"""The `cdp` command, the operator's front door: one file per group of verbs, and the only place that prints."""

from cdp_orchestration.cli.verbs import main

__all__ = ["main"]
