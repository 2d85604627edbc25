"""DuckDB, the default: one file in the home.

One process writes, alone: while dbt holds the file every other open of it fails, and a reader makes the writer fail.
So both go through a lock file: dbt runs under `writing()`, readers open the file read-only under `reading()`, just long
enough to take what they need. The kernel frees the lock when its holder dies.
"""

import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from cdp_orchestration.engines import Cursor, NothingBuilt, QueryFailed, RelationMissing, Say, file_lock
from cdp_orchestration.errors import TryAgain
from cdp_orchestration.home import Home


class DuckDBReading:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute("set python_enable_replacements = false")

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> Cursor:
        with _in_our_words():
            return self._connection.execute(sql, list(parameters or []))

    def arrow(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        self.execute(sql, parameters)
        with warnings.catch_warnings():
            # DuckDB advises its relations, which refuse to start while a result of this connection is half read.
            warnings.simplefilter("ignore", UserWarning)
            return self._connection.to_arrow_table()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise RelationMissing(str(error)) from None
    except duckdb.Error as error:
        raise QueryFailed(str(error)) from None


class DuckDB:
    name = "duckdb"
    always_full = False

    def __init__(self, home: Home, say: Say) -> None:
        self.home = home
        self.say = say

    def where(self) -> str:
        return f"the file {self.home.warehouse}, for any DuckDB client"

    def configured(self) -> None:
        """The home is all that it takes."""

    def check(self) -> None:
        """The home is a folder of ours: there is nothing that could be out of reach."""

    def exists(self) -> bool:
        return self.home.warehouse.exists()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with file_lock.writing(self.home, self.say):
            yield

    @contextmanager
    def reading(self) -> Iterator[DuckDBReading]:
        with file_lock.reading(self.home, self.say):
            if not self.home.warehouse.exists():
                raise NothingBuilt(
                    f"There is no warehouse at {self.home.warehouse} yet: run `cdp run` (or `cdp demo`) first."
                )
            connection = self._open_patiently()
            try:
                yield DuckDBReading(connection)
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

    def load(self, streams: list[tuple[str, str]]) -> None:
        """DuckDB reads landing and ledger in place."""

    def copy_to(self, file: Path) -> None:
        with self.reading():
            shutil.copyfile(self.home.warehouse, file)

    def remove(self) -> None:
        for file in (self.home.warehouse, self.home.root / "warehouse.duckdb.wal"):
            file.unlink(missing_ok=True)
