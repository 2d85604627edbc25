"""What a warehouse engine must be able to do for Python: be checked, locked, loaded, read and removed.

Everything else happens in dbt. One module an engine; Warehouse picks it by CDP_TARGET.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from cdp_orchestration.errors import CdpError, NeedsAPerson

PORTION = 10_000  # rows


class NothingBuilt(NeedsAPerson):
    """The warehouse does not exist yet."""


class QueryFailed(CdpError):
    """The warehouse refused a query; the message is the engine's own."""


class RelationMissing(QueryFailed):
    """A relation or column of the query is not in the warehouse."""


class Cursor(Protocol):
    """A result, as in PEP 249."""

    @property
    def description(self) -> Sequence[Any] | None: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...


class Reading(Protocol):
    """A read-only connection. SQL is standard SQL that every engine takes, with `?` for parameters."""

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> Cursor:
        """Raises RelationMissing or QueryFailed."""
        ...

    def arrow(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        """The result as an Arrow table. Raises as `execute`."""
        ...

    def portions(self, sql: str, parameters: Sequence[object] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """The rows in portions of a few thousand, of which memory holds one at a time. Raises as `execute`."""
        ...


class Engine(Protocol):
    """The warehouse of one home on one engine."""

    name: str
    always_full: bool  # its tables cannot be changed in place, so each build makes them from the beginning

    def where(self) -> str:
        """The warehouse in words, for a person who wants to open it with another tool."""
        ...

    def configured(self) -> None:
        """Is everything there that names the warehouse? Opens nothing. Raises NeedsAPerson with the remedy."""
        ...

    def check(self) -> None:
        """Could a build start now? Writes nothing. Raises NeedsAPerson or TryAgain with the remedy."""
        ...

    def exists(self) -> bool:
        """Whether a build has made anything."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Hold the warehouse for one writer (a dbt run)."""
        ...

    def reading(self) -> AbstractContextManager[Reading]:
        """Raises NothingBuilt where no build has run yet."""
        ...

    def load(self, streams: list[tuple[str, str]]) -> None:
        """Bring what landed, and the ledger, into the engine; nothing to do where it reads files in place."""
        ...

    def copy_to(self, file: Path) -> None:
        """The relations as they are, as a DuckDB file."""
        ...

    def remove(self) -> None:
        """Remove what builds made."""
        ...
