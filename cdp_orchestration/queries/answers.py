"""What an answer is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Lines = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Rows:
    """A table: as many values in each row as there are columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


Answer = Rows | str
