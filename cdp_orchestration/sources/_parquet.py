"""Parquet: rows of typed columns."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration.landing.records import Record, Unheld, row_record
from cdp_orchestration.sources._csv import header_problem
from cdp_orchestration.sources._text import Damaged

_ROWS = 10_000


def read_parquet(content: IO[bytes], name: str) -> Iterator[Record]:
    """The rows. A value that Python cannot hold costs its row alone."""
    # Timestamps of 96 bits have no unit; in nanoseconds those after 2262 would turn into others without a word.
    with pq.ParquetFile(content, coerce_int96_timestamp_unit="us") as parquet:
        columns = parquet.schema_arrow.names
        if problem := header_problem(columns):
            raise Damaged(problem, "Give every column a name of its own.")
        number = 0
        for batch in parquet.iter_batches(batch_size=_ROWS):
            values = [_values(column) for column in batch.columns]
            for row in zip(*values, strict=True):
                number += 1
                yield row_record(columns, row, f"row {number}", name)


def _values(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist(maps_as_pydicts="lossy")
    except Exception:  # ValueError, OverflowError, UnicodeError, of time zones: one of the values is at fault
        return [_value(value) for value in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py(maps_as_pydicts="lossy")
    except Exception as error:
        return Unheld(_text(scalar), str(error))


def _text(scalar: pa.Scalar) -> str:
    for kind in (pa.string(), pa.int64(), pa.int32()):
        try:
            return str(scalar.cast(kind).as_py())
        except Exception:
            continue  # the next way of showing it
    return f"a value of type {scalar.type}"
