"""Where state lives: one folder, `CDP_HOME` (default `./data`), made absolute when a process starts."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """The folders under CDP_HOME. Everything the platform writes is below `root`."""

    root: Path

    @property
    def inbox(self) -> Path:
        """Drop Segment-spec JSON Lines here and the next pull lands them."""
        return self.root / "inbox"

    @property
    def landing(self) -> Path:
        """Raw records as they came, append-only Parquet: landing/<source>/<stream>/."""
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file. dbt is its one writer."""
        return self.root / "warehouse.duckdb"

    @property
    def deliveries(self) -> Path:
        """Frozen plans, the ledger and the locks of deliveries."""
        return self.root / "deliveries"

    @property
    def drop(self) -> Path:
        """Where the file_drop destination leaves its files unless its folder is configured."""
        return self.root / "drop"

    @property
    def exports(self) -> Path:
        """Audiences that somebody exported as CSV, and the log of who did."""
        return self.root / "exports"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: run history, schedules' and sensors' state."""
        return self.root / "dagster"

    @property
    def dbt_target(self) -> Path:
        """dbt's parse cache and manifest for this home."""
        return self.root / "dbt"


def current_home() -> Home:
    """The home this process works in. Sets CDP_HOME to its absolute path, so that child processes agree."""
    root = Path(os.environ.get("CDP_HOME") or PROJECT_ROOT / "data")
    root = root.expanduser().absolute()
    os.environ["CDP_HOME"] = str(root)
    return Home(root)
