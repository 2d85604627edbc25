"""The `cdp` command, the operator's front door: one file per group of verbs, and the only place that prints."""

from cdp_orchestration.cli import audiences, new, passes, past, questions, upkeep
from cdp_orchestration.cli.command import main

__all__ = ["audiences", "main", "new", "passes", "past", "questions", "upkeep"]
