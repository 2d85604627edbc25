"""A published batch: what its records look like in Parquet, and how they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("_source", pa.string()),
        ("_stream", pa.string()),
        ("_batch_id", pa.string()),
        ("_batch_seq", pa.int64()),
        ("_record_no", pa.int64()),
        ("_file", pa.string()),
        ("_landed_at", pa.timestamp("us")),
        ("_payload", pa.string()),
        ("_error", pa.string()),
    ]
)

PART = 50_000  # records in memory at a time


@dataclass(frozen=True)
class Batch:
    """A published batch. `landed_at` is UTC without zone; `errors` counts the records with an error.

    files: where its records are, in order. A compacted file holds other batches, too, and a large batch goes on in the next.
    """

    source: str
    stream: str
    batch_id: str
    batch_seq: int
    records: int
    errors: int
    landed_at: datetime
    files: tuple[Path, ...]

    @property
    def path(self) -> Path:
        return self.files[0]

    def parts(self) -> Iterator[pa.Table]:
        """Its records (SCHEMA), in order, some tens of thousands at a time. Held under `Landing.reading`."""
        for path in self.files:
            with pq.ParquetFile(path) as file:
                groups = [
                    n for n in range(file.num_row_groups) if _may_hold(file.metadata.row_group(n), self.batch_seq)
                ]
                for batch in file.iter_batches(PART, row_groups=groups) if groups else ():
                    part = pa.Table.from_batches([batch])
                    yield part.filter(pc.equal(part.column("_batch_seq"), self.batch_seq))


def _may_hold(group: Any, seq: int) -> bool:
    """Whether a row group may hold records of that batch, by its statistics."""
    statistics = group.column(SCHEMA.names.index("_batch_seq")).statistics
    return statistics is None or not statistics.has_min_max or statistics.min <= seq <= statistics.max
