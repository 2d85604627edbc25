"""What a kind of source must do. A new kind is one Python file in this folder with a subclass of Source.

A source reads and hands over: it knows nothing of identity, models or Dagster, and it never writes to landing itself.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ClassVar

import pydantic

from cdp_orchestration.landing.records import Page


class SourceConfig(pydantic.BaseModel):
    """What every kind's configuration has. It must also accept text fields that hold a template (`{{ env.X }}`)."""

    model_config = pydantic.ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: str = pydantic.Field(description="The kind of source: the name of a file in cdp_orchestration/sources.")
    streams: dict[str, Any] = pydantic.Field(description="What is read, by stream name.")


class Source(ABC):
    """One connected source."""

    kind: ClassVar[str]
    Config: ClassVar[type[SourceConfig]]

    def __init__(self, config: Any, home_root: Path) -> None:
        """`config` is an instance of this kind's Config, rendered; `home_root` is CDP_HOME, absolute."""
        self.config = config
        self.home_root = Path(home_root)

    def streams(self) -> list[str]:
        """The names of the streams that can be pulled."""
        return list(self.config.streams)

    @abstractmethod
    def pull(self, stream: str, state: dict[str, Any], files: Mapping[str, str]) -> Iterator[Page]:
        """Yields what is new in `stream` since `state` and `files`, as Landing.state and Landing.files gave them.

        Pulling again with the same state must give the same records again: nothing is remembered anywhere else.
        Raises TryAgain for a passing fault, NeedsAPerson when a person must act. One bad record is a Record with
        an error, never an exception.
        """

    def look(self, landed: Callable[[str], Mapping[str, str]]) -> Iterator[tuple[Path, str, str | None]]:
        """What lies where this source reads: (path, its name in the source, why no stream reads it; None where one does).

        `landed` gives what Landing.files says of a stream. A source without files has nothing to show.
        """
        yield from ()

    def now(self) -> datetime:
        """The pull's clock: UTC, without zone."""
        return datetime.now(UTC).replace(tzinfo=None)

    def scratch(self) -> IO[bytes]:
        """An empty file without a name, on the home's disk. It is gone when closed, or when the process dies."""
        self.home_root.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self.home_root)
