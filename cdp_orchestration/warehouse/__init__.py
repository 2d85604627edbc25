"""The only module that opens the warehouse, whatever engine it is on."""

import importlib.util
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import yaml

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.warehouse.engine import Engine, NothingBuilt, QueryFailed, Reading, RelationMissing

__all__ = ["NothingBuilt", "QueryFailed", "Reading", "RelationMissing", "Warehouse", "target"]


class Warehouse:
    """The warehouse of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._engine = _engine(home)

    def where(self) -> str:
        """The warehouse in words, for a person who wants to open it with another tool."""
        return self._engine.where()

    def configured(self) -> None:
        """Is everything there that names the warehouse? Opens nothing. Raises NeedsAPerson with the remedy."""
        self._engine.configured()

    @property
    def always_full(self) -> bool:
        """Whether each build makes everything from the beginning, because the engine's tables cannot be changed in place."""
        return self._engine.always_full

    def check(self) -> None:
        """Could a build start now? Writes nothing. Raises NeedsAPerson or TryAgain with the remedy."""
        self._engine.check()

    def exists(self) -> bool:
        """Whether a build has made anything."""
        return self._engine.exists()

    def writing(self) -> AbstractContextManager[None]:
        """Hold the warehouse for one writer (a dbt run)."""
        return self._engine.writing()

    def reading(self) -> AbstractContextManager[Reading]:
        """A read-only connection. Raises NothingBuilt where no build has run yet."""
        return self._engine.reading()

    def rows(self, sql: str, parameters: list[object] | None = None) -> pa.Table:
        """The result of one read-only query as an Arrow table. Raises RelationMissing or QueryFailed."""
        with self.reading() as connection:
            return connection.arrow(sql, parameters)

    def load(self, streams: list[tuple[str, str]] | None = None) -> None:
        """Bring what landed (of these streams) and the ledger into an engine that does not read them in place."""
        self._engine.load(streams or [])

    def copy_to(self, file: Path) -> None:
        """All relations as they are now, as a DuckDB file."""
        self._engine.copy_to(file)

    def remove(self) -> None:
        """Remove what builds made. Landing and ledger stay, so everything but the audiences' history comes back."""
        self._engine.remove()


def target() -> str:
    """The engine in use: CDP_TARGET, a target in profiles/profiles.yml."""
    return os.environ.get("CDP_TARGET") or "duckdb"


def _engine(home: Home) -> Engine:
    name = target()
    profiles = PROJECT_ROOT / "profiles" / "profiles.yml"
    outputs = yaml.safe_load(profiles.read_text())["cdp"]["outputs"]
    if name not in outputs:
        raise NeedsAPerson(f"CDP_TARGET={name}: no such target in {profiles}. There are: {', '.join(outputs)}.")
    kind = outputs[name]["type"]
    if importlib.util.find_spec("dbt.adapters") is None or importlib.util.find_spec(f"dbt.adapters.{kind}") is None:
        raise NeedsAPerson(
            f"CDP_TARGET={name}: dbt's adapter for {kind} is not installed. Install it with "
            f"`.venv/bin/pip install -c .ci/constraints.txt -e '.[{kind}]'`."
        )
    if kind == "duckdb":
        from cdp_orchestration.warehouse.duckdb import DuckDB

        return DuckDB(home)
    if kind == "postgres":
        from cdp_orchestration.warehouse.postgres import Postgres

        return Postgres(home)
    if kind in ("snowflake", "bigquery", "databricks"):
        from cdp_orchestration.warehouse.cloud import Cloud

        return Cloud(home, kind)
    if kind == "spark":
        from cdp_orchestration.warehouse.spark import Spark

        return Spark(home)
    raise NeedsAPerson(
        f"CDP_TARGET={name}: the models are written for {kind}, but `cdp` cannot load and read it yet "
        "(docs/growing.md says what is missing). Use duckdb, postgres or spark."
    )
