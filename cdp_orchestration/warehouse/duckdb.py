"""DuckDB, the default: one file in the home.

One process writes, alone: while dbt holds the file every other open of it fails, and a reader makes the writer fail.
So both go through a lock file: dbt runs under `writing()`, readers open the file read-only under `reading()`, just long
enough to take what they need. The kernel frees the lock when its holder dies.
"""

import logging
import re
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cdp_orchestration.errors import CdpError, NeedsAPerson, TryAgain, disk_full, is_disk_full
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import file_lock
from cdp_orchestration.warehouse.engine import PORTION, Cursor, NothingBuilt, QueryFailed, RelationMissing

log = logging.getLogger("cdp")

# How long to wait for a client that has the file open; DuckDB's own lock says so.
PATIENCE_SECONDS = 30.0


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

    def portions(self, sql: str, parameters: Sequence[object] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        self.execute(sql, parameters)  # DuckDB makes the rows as they are fetched
        with _in_our_words():
            while rows := self._connection.fetchmany(PORTION):
                yield rows


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise RelationMissing(str(error)) from None
    except duckdb.Error as error:
        raise QueryFailed(str(error)) from None


def _holder(error: duckdb.Error) -> str:
    """Who has the file open, as DuckDB names it: 'python3.11 (process 4711)'."""
    found = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    return f"{Path(found[1]).name} (process {found[2]})" if found else "another program"


def _unusable(file: Path, error: duckdb.Error) -> CdpError:
    """Why the file cannot be opened at all, and what to do about it."""
    if is_disk_full(error):
        return disk_full(file)
    return NeedsAPerson(
        f"{file} cannot be opened: {str(error).splitlines()[0]} If it is damaged, `cdp reset` removes it, and the next "
        "`cdp run` builds it again from what landed."
    )


class DuckDB:
    name = "duckdb"
    always_full = False

    def __init__(self, home: Home) -> None:
        self.home = home

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
        """Alone among us; and where a client of somebody else's has the file open, waits for it as readers do."""
        with file_lock.writing(self.home):
            if self.home.warehouse.exists():
                self._open_patiently(read_only=False).close()
            yield

    @contextmanager
    def reading(self) -> Iterator[DuckDBReading]:
        with file_lock.reading(self.home):
            if not self.home.warehouse.exists():
                raise NothingBuilt(
                    f"There is no warehouse at {self.home.warehouse} yet: run `cdp run` (or `cdp demo`) first."
                )
            connection = self._open_patiently(read_only=True)
            try:
                yield DuckDBReading(connection)
            finally:
                connection.close()

    def _open_patiently(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Raises TryAgain where somebody holds the file all the while, NeedsAPerson where it is no warehouse."""
        file = self.home.warehouse
        deadline, said = time.monotonic() + PATIENCE_SECONDS, False
        while True:
            try:
                return duckdb.connect(str(file), read_only=read_only)
            except duckdb.IOException as error:
                if "set lock" not in str(error):
                    raise _unusable(file, error) from None
                if time.monotonic() > deadline:
                    raise TryAgain(
                        f"{file} is open in {_holder(error)}. Close it there (a database browser? a dbt run outside cdp?) "
                        "and run again; until then nothing can be built."
                    ) from None
                if not said:
                    log.info(
                        f"The warehouse is open in {_holder(error)}; waiting up to {PATIENCE_SECONDS:.0f} s for it."
                    )
                    said = True
                time.sleep(0.5)
            except duckdb.Error as error:
                raise _unusable(file, error) from None

    def load(self, streams: list[tuple[str, str]]) -> None:
        """DuckDB reads landing and ledger in place."""

    def copy_to(self, file: Path) -> None:
        log = self.home.root / "warehouse.duckdb.wal"
        with self.reading():
            shutil.copyfile(self.home.warehouse, file)
            if log.exists():  # a writer may leave its last statements in the log: they are the warehouse, too
                shutil.copyfile(log, file.with_name(f"{file.name}.wal"))
        duckdb.connect(str(file)).close()  # which takes the log in, so that the copy is one file

    def remove(self) -> None:
        for file in (self.home.warehouse, self.home.root / "warehouse.duckdb.wal"):
            file.unlink(missing_ok=True)
