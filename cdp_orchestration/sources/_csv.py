"""CSV: a row a line, or several where a quoted field holds line ends."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from cdp_orchestration.landing.records import BOM, Record, json_object
from cdp_orchestration.sources._text import Damaged, is_text, readable

# The csv module's own limit, 128 kB, refuses honest text fields; none at all would let one forgotten quote read
# the rest of a large file into memory. The setting is the process's, there is none per reader.
csv.field_size_limit(16 * 1024 * 1024)

_SAMPLE_CHARS = 64 * 1024
_SAMPLE_ROWS = 20
_NAMES = {",": "commas (',')", ";": "semicolons (';')", "\t": "tabs ('\\t')", "|": "pipes ('|')"}
_EXCELS = re.compile(r"\"?sep=(.)\"?\s*")


class CsvFormat(Protocol):
    """The fields of a stream that say how its CSV is written; FileFormat describes them."""

    delimiter: str | None
    header: Any
    skip_lines: int
    encoding: str


class _Lines:
    """Lines of a text, counted; remembers the ones that the row being read is made of."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self._text = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="")
        self._row: list[str] = []
        self.number = 0
        self.is_text = True

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.number += 1
        if not line.isascii():
            self.is_text = self.is_text and is_text(line)
            if not self._row:
                line = line.lstrip(BOM)  # where files were joined; inside a row it is text
        self._row.append(line)
        return line

    def take(self) -> str:
        """The text since the last call, without its last line end."""
        text = "".join(self._row).removesuffix("\n").removesuffix("\r")
        self._row.clear()
        self.is_text = True
        return text


def read_csv(raw: Any, name: str, how: CsvFormat, usual: str) -> Iterator[Record]:
    """The rows; `usual` is the delimiter where the stream names none. Raises Damaged for a file that has another one."""
    delimiter = how.delimiter or usual
    if delimiter != "whitespace":
        _refuse_other_delimiter(raw, how, delimiter)
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
    named_at = 0
    while True:
        lines.take()
        first = lines.number + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Record(readable(lines.take()), f"line {first}: not valid CSV: {error}", name)
            continue
        if row is None:
            return
        if not row:
            continue
        if not lines.is_text:
            problem = f"line {first}: not valid {how.encoding.removesuffix('-sig')}"
            remedy = "Set the stream's field 'encoding' to what the file is written in."
            if header is None:
                raise Damaged(problem, remedy)
            yield Record(readable(lines.take()), f"{problem}. {remedy}", name)
        elif header is None:
            header, named_at = [column.strip() for column in row], first
            if trouble := header_problem(header):
                raise Damaged(f"line {first}: {trouble}", "Correct the header, or set the stream's field 'header'.")
        elif len(row) != len(header):
            problem = f"line {first}: expected {len(header)} columns ({', '.join(header)}), found {len(row)}"
            yield Record(lines.take(), problem, name)
        elif named_at and len(row) > 1 and [column.strip() for column in row] == header:
            yield Record(lines.take(), f"line {first}: the header once more, no row: were files joined?", name)
        else:
            yield Record(json_object(header, row), None, name)


def header_problem(header: list[str]) -> str | None:
    """What is wrong with the names of columns, if anything is."""
    if "" in header:
        return f"column {header.index('') + 1} of the header has no name"
    twice = sorted({column for column in header if header.count(column) > 1})
    return f"the header names a column twice: {', '.join(twice)}" if twice else None


def _refuse_other_delimiter(raw: Any, how: CsvFormat, delimiter: str) -> None:
    """Read with a wrong delimiter, a file is one column of a strange name: say so once instead."""
    text = io.TextIOWrapper(raw, how.encoding, errors="surrogateescape", newline="")
    sample = text.read(_SAMPLE_CHARS)
    text.detach()
    raw.seek(0)
    lines = list(islice(io.StringIO(sample.lstrip(BOM), newline=""), how.skip_lines, None))
    if not lines:
        return
    if (excels := _EXCELS.fullmatch(lines[0])) and how.header is True:
        other = _NAMES.get(excels.group(1), f"'{excels.group(1)}'")
        raise Damaged(
            f"its first line is a spreadsheet's note that its columns are separated by {other}",
            "Set the stream's fields 'delimiter' and 'skip_lines'.",
        )
    if len(sample) == _SAMPLE_CHARS:
        lines.pop()  # it may be cut off
    wanted = None if how.header is True else len(how.header)
    widths = _widths(lines, delimiter)
    if not widths or _fits(widths, wanted) or (widths[0] > 1 and widths.count(widths[0]) * 2 > len(widths)):
        return
    for other, shown in _NAMES.items():
        if other != delimiter and _fits(_widths(lines, other), wanted):
            raise Damaged(
                f"its columns seem to be separated by {shown}, not by {_NAMES.get(delimiter, repr(delimiter))}",
                f"Set the stream's field 'delimiter' to {other!r}.",
            )


def _widths(lines: list[str], delimiter: str) -> list[int]:
    try:
        return [len(row) for row in islice(filter(None, csv.reader(lines, delimiter=delimiter)), _SAMPLE_ROWS)]
    except csv.Error:
        return []


def _fits(widths: list[int], wanted: int | None) -> bool:
    return bool(widths) and set(widths) == {wanted or widths[0]} and widths[0] > 1
