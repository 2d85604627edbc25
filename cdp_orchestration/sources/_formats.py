"""What is inside a file: CSV, JSON Lines or Parquet, plain or gzipped, turned into records.

Whatever is wrong with a file becomes a record with an error; nothing here raises for bad content. Whether a file is
gzipped, its first bytes say and not its name.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import pyarrow as pa
import pydantic

from cdp_orchestration.landing.records import Record
from cdp_orchestration.sources._csv import read_csv
from cdp_orchestration.sources._json import read_json
from cdp_orchestration.sources._parquet import read_parquet
from cdp_orchestration.sources._text import Damaged

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
}
GZIPPED = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "a zip archive (an Excel workbook is one, too)",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PAR1": "Parquet",
    b"%PDF": "a PDF",
}


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
    except Damaged as damage:
        yield unreadable(name, damage, damage.remedy)
    except LookupError as error:
        yield unreadable(name, error, "Correct the stream's field 'encoding'.")
    except UnicodeError as error:
        yield unreadable(
            name, error, f"Its text is not {how.encoding.removesuffix('-sig')}: set the stream's field 'encoding'."
        )
    except (OSError, EOFError, zlib.error, ValueError, OverflowError, pa.ArrowException) as error:
        yield unreadable(name, error, "The file is damaged or not what it is called: deliver it again.")


def unreadable(name: str, error: object, remedy: str) -> Record:
    """The record that stands for a file, or the rest of one, that could not be read."""
    return Record(None, f"{name}: could not be read: {error}. {remedy}", name)


def _read(content: IO[bytes], name: str, how: FileFormat) -> Iterator[Record]:
    first = content.read(8)
    content.seek(0)
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    extension = "".join((suffixes[:-1] if suffixes[-1:] == [".gz"] else suffixes)[-1:])
    kind = _FORMATS.get(extension) if how.format == "auto" else how.format
    zipped = first.startswith(GZIPPED)
    if kind is None:
        raise Damaged("its extension is not known", f"Rename it ({', '.join(_FORMATS)}), or set the field 'format'.")
    if kind == "parquet":
        if zipped:
            raise Damaged("it is gzipped as a whole", "Unpack it: Parquet compresses its columns by itself.")
        yield from read_parquet(content, name)
        return
    for magic, what in _PACKED.items():
        if first.startswith(magic):
            raise Damaged(f"it is {what}", "Deliver it as text, plain or gzipped, or set the field 'format'.")
    # GzipFile is a file, whatever its stub says.
    raw: Any = gzip.GzipFile(fileobj=content) if zipped else content
    _refuse_wide_characters(raw, how.encoding)
    if kind == "csv":
        yield from read_csv(raw, name, how, "\t" if extension == ".tsv" else ",")
    else:
        yield from read_json(raw, name, how.encoding, is_document=extension == ".json")


def _refuse_wide_characters(raw: Any, encoding: str) -> None:
    """UTF-16 and UTF-32 read as anything else give lines of nonsense: say what they are."""
    beginning = raw.read(1024)
    raw.seek(0)
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return
    if beginning.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        found = "utf-32"
    elif beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found = "utf-16"
    else:
        # Text that is mostly of one alphabet has a NUL in every other byte; text of one byte a character has none.
        pairs = len(beginning) // 2
        left, right = beginning[0 : 2 * pairs : 2].count(0), beginning[1 : 2 * pairs : 2].count(0)
        if pairs < 2 or max(left, right) < 0.6 * pairs or min(left, right) > 0.6 * pairs:
            return
        found = "utf-16-le" if right > left else "utf-16-be"
    raise Damaged(
        f"its text is {found.upper()}, not {encoding.removesuffix('-sig')}",
        f"Set the stream's field 'encoding' to {found}.",
    )
