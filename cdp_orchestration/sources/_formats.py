"""How a file becomes records: CSV, JSON Lines (and a .json array), Parquet. What cannot be read becomes a record with
an error that names the line; the rest goes on."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration.records import Record, json_object, json_record, parse_json

csv.field_size_limit(64 * 1024 * 1024)

_ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".parquet": "parquet",
}  # fmt: skip


class Unreadable(Exception):
    """The file as a whole cannot be read; says why and what to do."""


def format_of(name: str) -> str:
    """csv, jsonl or parquet, by the ending. Raises Unreadable for another one."""
    plain = name.removesuffix(".gz").lower()
    for ending, kind in _ENDINGS.items():
        if plain.endswith(ending):
            return kind
    raise Unreadable(f"its ending says no format; name it {', '.join(_ENDINGS)}, or set `format` for the stream.")


def jsonl(stream: IO[bytes], name: str, options: Any) -> Iterator[Record]:
    """A record per line; blank lines are skipped. A .json file may also hold one array or one object over many lines."""
    if name.removesuffix(".gz").endswith(".json"):
        yield from _json_document(stream, name, options)
        return
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _json_line(line, number, name, options.encoding)


def _json_line(line: bytes, number: int, name: str, encoding: str) -> Record:
    try:
        text = line.decode("utf-8" if encoding == "utf-8-sig" else encoding)
    except UnicodeDecodeError:
        return Record(
            line.decode("utf-8", "replace").strip(), f"{name}, line {number}: not valid {encoding} text", name
        )
    return json_record(text, f"{name}, line {number}", name)


def _json_document(stream: IO[bytes], name: str, options: Any) -> Iterator[Record]:
    raw = stream.read()
    try:
        text = raw.decode(options.encoding).strip()
        value, end = parse_json(text)
        whole = end == len(text)
    except (ValueError, UnicodeDecodeError):
        whole, value = False, None
    if not whole:  # not one document: lines, then
        for number, line in enumerate(raw.splitlines(), start=1):
            if line.strip():
                yield _json_line(line, number, name, options.encoding)
        return
    for item in value if isinstance(value, list) else [value]:
        yield Record(json.dumps(item, ensure_ascii=False, separators=(",", ":")), None, name)


def delimited(stream: IO[bytes], name: str, options: Any) -> Iterator[Record]:
    """A record per row: a JSON object of texts in the order of the columns."""
    text = io.TextIOWrapper(stream, encoding=options.encoding, errors="surrogateescape", newline="")
    lines = _Lines(text)
    for _ in range(options.skip_lines):
        next(lines, None)
    rows = _rows(lines, name, options)
    if isinstance(options.header, list):
        columns = options.header
    else:
        columns = next(rows, [])
        if not columns:
            return
    if options.header is False:
        raise Unreadable("its columns have no names: give them as the stream's `header`, e.g. [id, email].")
    if "" in columns or len(set(columns)) != len(columns):
        raise Unreadable(f"its header has an empty or repeated column name ({', '.join(columns)}): mend the header.")
    while True:
        lines.taken.clear()
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Record(_raw(lines), f"{name}, line {lines.number}: {error}", name)
            continue
        if row is None:
            return
        if not row:
            continue
        if len(row) != len(columns):
            told = f"{name}, line {lines.number}: {len(row)} columns where the header has {len(columns)}"
            yield Record(_raw(lines), told, name)
        elif any("\udc80" <= letter <= "\udcff" for value in row if not value.isascii() for letter in value):
            yield Record(_raw(lines), f"{name}, line {lines.number}: not valid {options.encoding} text", name)
        else:
            yield Record(json_object(columns, row), None, name)


class _Lines:
    """Lines of a text with their number, and the ones that the row at hand took."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text, self.number = text, 0
        self.taken: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self.text)
        self.number += 1
        self.taken.append(line)
        return line


def _rows(lines: _Lines, name: str, options: Any) -> Iterator[list[str]]:
    if options.delimiter == "whitespace":
        return (line.split() for line in lines)
    default = "\t" if name.removesuffix(".gz").lower().endswith(".tsv") else ","
    return csv.reader(lines, delimiter=options.delimiter or default)


def _raw(lines: _Lines) -> str:
    return "".join(lines.taken).encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\r\n")


def parquet(stream: IO[bytes], name: str, options: Any) -> Iterator[Record]:
    """A record per row, with its types kept."""
    try:
        file = pq.ParquetFile(stream)
        for part in file.iter_batches(10_000):
            columns = [column.to_pylist() for column in part.columns]
            for values in zip(*columns, strict=True):
                yield Record(json_object(part.schema.names, values), None, name)
    except pa.ArrowException as error:
        raise Unreadable(f"{error} Replace the file.") from None


FORMATS: dict[str, Callable[[IO[bytes], str, Any], Iterator[Record]]] = {
    "csv": delimited,
    "jsonl": jsonl,
    "parquet": parquet,
}
