"""What is inside a file: CSV, JSON Lines or Parquet, plain or gzipped, turned into records.

Whatever is wrong with a file becomes a record with an error; nothing here raises for bad content.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pydantic

from cdp_orchestration.records import Record, json_object, json_record, parse_json

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
}
_SPACE = " \t\r\n"

# The csv module's own limit, 128 kB, refuses honest text fields; none at all would let one forgotten quote read
# the rest of a large file into memory. The setting is the process's, there is none per reader.
csv.field_size_limit(16 * 1024 * 1024)


class FileFormat(pydantic.BaseModel):
    """How the files of one stream are to be read."""

    model_config = pydantic.ConfigDict(extra="forbid")

    format: Literal["auto", "csv", "jsonl", "parquet"] = pydantic.Field(
        default="auto", description="What is in the files; auto goes by their extension (.gz may follow)."
    )
    delimiter: str | None = pydantic.Field(
        default=None,
        description="CSV: one character, or 'whitespace' for runs of blanks. Default: tab for .tsv, else comma.",
    )
    header: Literal[True] | list[str] = pydantic.Field(
        default=True, description="CSV: true when the first line names the columns, else their names."
    )
    skip_lines: int = pydantic.Field(
        default=0, ge=0, description="CSV: lines to leave out at the beginning, before any header."
    )
    encoding: str = pydantic.Field(
        default="utf-8-sig", description="Of the text, as Python names it. The default accepts a leading BOM."
    )

    @pydantic.field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is None or len(value) == 1 or value == "whitespace" or "{{" in value:
            return value
        raise ValueError("must be one character, or 'whitespace'")


def read_records(content: IO[bytes], name: str, how: FileFormat) -> Iterator[Record]:
    """The records in `content`, which must be seekable and at its beginning; `name` decides what auto means.

    If the content cannot be read to its end, the last record says so, after all that could be read.
    """
    try:
        yield from _read(content, name, how)
    except LookupError as error:
        yield unreadable(name, error, "Correct the stream's field 'encoding'.")
    except UnicodeError as error:
        yield unreadable(name, error, f"Its text is not {how.encoding}: set the stream's field 'encoding'.")
    except (OSError, EOFError, zlib.error, ValueError, OverflowError, pa.ArrowException) as error:
        yield unreadable(name, error, "The file is damaged or not what it is called: deliver it again.")


def unreadable(name: str, error: object, remedy: str) -> Record:
    """The record that stands for a file, or the rest of one, that could not be read."""
    return Record(None, f"{name}: could not be read: {error}. {remedy}", name)


def _read(content: IO[bytes], name: str, how: FileFormat) -> Iterator[Record]:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    zipped = suffixes[-1:] == [".gz"]
    extension = (suffixes[:-1] if zipped else suffixes)[-1:]
    kind = _FORMATS.get("".join(extension)) if how.format == "auto" else how.format
    if kind is None or (kind == "parquet" and zipped):
        yield unreadable(
            name, "its extension is not known", f"Rename it ({', '.join(_FORMATS)}), or set the field 'format'."
        )
    elif kind == "parquet":
        yield from _read_parquet(content, name)
    else:
        # GzipFile is a file, whatever its stub says.
        raw: Any = gzip.GzipFile(fileobj=content) if zipped else content
        if kind == "csv":
            comma = "\t" if extension == [".tsv"] else ","
            yield from _read_csv(raw, name, how, how.delimiter or comma)
        elif extension == [".json"] and (document := _json_document(raw, how.encoding)) is not None:
            yield from _read_document(document, name)
        else:
            yield from _read_lines(raw, name, how.encoding)


def _read_lines(raw: Any, name: str, encoding: str) -> Iterator[Record]:
    # surrogateescape carries invalid bytes through, so that only the line which holds them is refused.
    text = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="\n")
    for number, line in enumerate(text, 1):
        if stripped := line.strip(_SPACE):
            yield json_record(stripped, f"line {number}", name)


def _json_document(raw: Any, encoding: str) -> str | None:
    """The whole text, when it is one JSON document rather than a value a line. A document is held in memory."""
    text = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="\n")
    filled = (line.strip(_SPACE) for line in text if not line.isspace())
    first, second = next(filled, ""), next(filled, None)
    text.detach()
    raw.seek(0)
    first_alone = json_record(first).error is None
    lines = (first_alone and (second is not None or first[0] != "[")) or (
        second is not None and second[0] == "{" and json_record(second).error is None and first[0] == "{"
    )
    if not first or lines:
        return None
    whole = io.TextIOWrapper(raw, encoding, newline="\n")
    try:
        return whole.read().strip(_SPACE)
    finally:
        whole.detach()


def _read_document(text: str, name: str) -> Iterator[Record]:
    """The elements of a JSON array, or one object, each as the text that it is in the document."""
    if text[0] != "[":
        record = json_record(text, "", name)
        yield unreadable(name, record.error, "Correct its JSON.") if record.error else record
        return
    at = _skip_space(text, 1)
    if text[at:] == "]":
        return
    while True:
        end = parse_json(text, at)[1]
        yield Record(text[at:end], None, name)
        at = _skip_space(text, end)
        if text[at : at + 1] == "]" and at + 1 == len(text):
            return
        if text[at : at + 1] != ",":
            raise ValueError(f"the JSON array is broken at character {at + 1}")
        at = _skip_space(text, at + 1)


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


class _Lines:
    """Lines of a text, counted; remembers the ones that the row being read is made of."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self._text = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="")
        self._row: list[str] = []
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.number += 1
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                raise UnicodeError(f"line {self.number} holds bytes that are not text") from None
        self._row.append(line)
        return line

    def take(self) -> str:
        """The text since the last call, without its last line end."""
        text = "".join(self._row).removesuffix("\n").removesuffix("\r")
        self._row.clear()
        return text


def _read_csv(raw: Any, name: str, how: FileFormat, delimiter: str) -> Iterator[Record]:
    lines = _Lines(raw, how.encoding)
    for _ in range(how.skip_lines):
        next(lines, None)
    rows: Iterator[list[str]]
    if delimiter == "whitespace":
        rows = (line.split() for line in lines)
    else:
        # strict: otherwise a quote that is never closed swallows rows without a word.
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None if how.header is True else how.header
    while True:
        lines.take()
        first = lines.number + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Record(lines.take(), f"line {first}: not valid CSV: {error}", name)
            continue
        if row is None:
            return
        if not row:
            continue
        if header is None:
            header = [column.strip() for column in row]
            if problem := _header_problem(header):
                yield unreadable(
                    name, f"line {first}: {problem}", "Correct the header, or set the stream's field 'header'."
                )
                return
        elif len(row) == len(header):
            yield Record(json_object(header, row), None, name)
        else:
            yield Record(
                lines.take(),
                f"line {first}: expected {len(header)} columns ({', '.join(header)}), found {len(row)}",
                name,
            )


def _header_problem(header: list[str]) -> str | None:
    if "" in header:
        return f"column {header.index('') + 1} of the header has no name"
    twice = sorted({column for column in header if header.count(column) > 1})
    return f"the header names a column twice: {', '.join(twice)}" if twice else None


def _read_parquet(content: IO[bytes], name: str) -> Iterator[Record]:
    with pq.ParquetFile(content) as parquet:
        columns = parquet.schema_arrow.names
        if problem := _header_problem(columns):
            yield unreadable(name, problem, "Give every column a name of its own.")
            return
        for batch in parquet.iter_batches(batch_size=10_000):
            values = [column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns]
            for row in zip(*values, strict=True):
                yield Record(json_object(columns, row), None, name)
