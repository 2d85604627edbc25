"""The dbt project that a scratch warehouse is built by: that of the checkout, or of a revision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdp_orchestration.home import PROJECT_ROOT, Home


@dataclass(frozen=True)
class Project:
    """Where it is, its parse (partial_parse.msgpack), and the manifest that the parse gave."""

    root: Path
    parse: Path
    manifest: dict[str, Any]


def checked_out(home: Home, manifest: dict[str, Any]) -> Project:
    """The project in force, whose parse `current_manifest` has left in the home."""
    return Project(PROJECT_ROOT, home.dbt_target / "partial_parse.msgpack", manifest)
