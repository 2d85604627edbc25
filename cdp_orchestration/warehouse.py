"""The only module that opens the warehouse.

On DuckDB one process writes, alone: while dbt holds the file every other open of it fails, and a reader makes the
writer fail. So both go through a lock file: dbt runs under `writing()`, readers open the file read-only under
`reading()`, just long enough to take what they need. The kernel frees the lock when its holder dies.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from cdp_orchestration.errors import StopAndTell, TryAgain
from cdp_orchestration.home import Home


class NothingBuilt(StopAndTell):
    """The warehouse does not exist yet."""


class Warehouse:
    """The warehouse of one home."""

    def __init__(self, home: Home, say: Callable[[str], None] = lambda _: None) -> None:
        self.home = home
        self.say = say

    @contextmanager
    def _locked(self, kind: int, what: str) -> Iterator[None]:
        self.home.root.mkdir(parents=True, exist_ok=True)
        with open(self.home.root / "warehouse.lock", "a") as lock:
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"Another process is using the warehouse; waiting to {what}.")
                fcntl.flock(lock, kind)
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the warehouse for one writer (a dbt run)."""
        with self._locked(fcntl.LOCK_EX, "write"):
            yield

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection. Raises NothingBuilt where no build has run yet."""
        with self._locked(fcntl.LOCK_SH, "read"):
            if not self.home.warehouse.exists():
                raise NothingBuilt(
                    f"There is no warehouse at {self.home.warehouse} yet: run `cdp run` (or `cdp demo`) first."
                )
            connection = self._open_patiently()
            try:
                yield connection
            finally:
                connection.close()

    def _open_patiently(self, seconds: float = 30.0) -> duckdb.DuckDBPyConnection:
        """A dbt process may outlive the step that held the lock for it; DuckDB's own lock then says so."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return duckdb.connect(str(self.home.warehouse), read_only=True)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise
                if time.monotonic() > deadline:
                    raise TryAgain(
                        f"{self.home.warehouse} is held by another process (a database browser left open, or a "
                        f"dbt run outside cdp): close it and run again. {error}"
                    ) from None
                time.sleep(0.5)

    def rows(self, sql: str, parameters: list[object] | None = None) -> pa.Table:
        """The result of one read-only query as an Arrow table."""
        with self.reading() as connection:
            return connection.sql(sql, params=parameters or None).to_arrow_table()


def target() -> str:
    """The engine in use: CDP_TARGET, a target in profiles/profiles.yml."""
    return os.environ.get("CDP_TARGET") or "duckdb"
