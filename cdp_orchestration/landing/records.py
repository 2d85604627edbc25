"""What a connector hands to landing, and how values become the JSON text that is kept."""

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import simplejson

from cdp_orchestration.unambiguous import DEEPEST, nested_too_deeply, repeats, without_repeats


@dataclass(frozen=True, slots=True)
class Record:
    """One record as its source gave it.

    payload: the record as JSON text. When `error` is set: the raw text as far as it is known, JSON or not.
    error:   why the record could not be read; null when it could.
    file:    path of the file it came from, relative to the source's folder.
    """

    payload: str | None
    error: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Page:
    """Some records of a stream, in order, and where the reading stands after them.

    state: JSON-able; the stream's whole reading position after this page (the last page's wins).
    files: relative path -> fingerprint, of the files that were finished in this page.
    safe:  whether a batch may end after this page. False in the middle of a file or of a snapshot. The last page
           of a pull is always safe.
    notes: what a person should know about these records: sentences, shown once, when the records have landed.
    """

    records: list[Record]
    state: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    safe: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unheld:
    """A value of a source that no Python value can hold: its text as the source writes it, and why."""

    text: str
    why: str


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


class _Repeated(Exception):
    """A name stands twice in one object."""


def _told_apart(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise _Repeated
    return names


def _told_apart_by_engines(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if repeats(name for name, _ in pairs):
        raise _Repeated
    return dict(pairs)


# Numbers are only looked at: as floats, a number may be as long as it likes.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=float)
_careful_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=float, object_pairs_hook=_told_apart)
_wary_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=float, object_pairs_hook=_told_apart_by_engines
)
_surrogate = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = " \t\r\n"
BOM = "\ufeff"


def parse_json(text: str, start: int = 0, decoder: json.JSONDecoder = _decoder) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and the index after it.

    Raises ValueError (which says why) for what is not strict JSON: NaN, Infinity, a lone surrogate escape, which
    DuckDB's parser refuses too, or nesting that is too deep.
    """
    try:
        value, end = decoder.raw_decode(text, start)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _surrogate.search(text, start, end):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("an escape names half a character (a lone surrogate)") from None
    return value, end


def json_record(text: str, where: str = "", file: str | None = None) -> Record:
    """`text` as a record: its payload is the text as it came, without white space around it, and of names that an object
    repeats only the first.

    Never raises: what is not one strict JSON value in valid Unicode gets an error that begins with `where`
    ("line 3", say).
    """
    text = text.strip(_SPACE)
    prefix = f"{where}: " if where else ""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            readable = text.encode("utf-8", "surrogateescape" if _escaped(text) else "replace")
            return Record(readable.decode("utf-8", "replace"), f"{prefix}not valid UTF-8", file)
    try:
        text = strict(text)
    except ValueError as error:
        return Record(text, f"{prefix}not valid JSON: {error}{_hint(text)}", file)
    return Record(text, None, file)


def _hint(text: str) -> str:
    """What a reader of a JSON error could not see by himself."""
    if BOM in text:
        at = text.index(BOM) + 1
        return f" (a byte-order mark stands in mid-line, at column {at}: were files joined without a line end?)"
    if "\x00" in text:
        return " (it holds NUL bytes: was it cut off by a crash, or is it UTF-16?)"
    return ""


def strict(text: str) -> str:
    """`text`, where it is one JSON value that every engine reads alike; of names that an object repeats only the first.

    Raises ValueError (which says why) where it is not.
    """
    repeated = False
    try:
        end = parse_json(text, decoder=_wary_decoder if "\\u0000" in text else _careful_decoder)[1]
    except _Repeated:
        end, repeated = parse_json(text)[1], True
    if end != len(text):
        raise ValueError(f"more text after the value, at column {end + 1}")
    if nested_too_deeply(text):
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    return without_repeats(text) if repeated else text


def _escaped(text: str) -> bool:
    """Whether every surrogate in `text` stands for a raw byte (Python's surrogateescape)."""
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", text)


_encoder = simplejson.JSONEncoder(use_decimal=True, ensure_ascii=False, separators=(",", ":"))
_AS_IS = (str, int, bool, type(None))
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def json_object(names: Iterable[str], values: Iterable[Any]) -> str:
    """One row as the text of a JSON object, in the order of its columns.

    Decimals become exact numbers; timestamps ISO 8601 with microseconds (UTC with Z when zoned, else without
    zone); dates and times ISO; durations seconds; NaN and infinite numbers null; what is unknown, its str().
    Bytes that are UTF-8 are text (what pads a field of fixed size with NUL is left off); bytes that are not, or that
    hold control characters, are no text and become base64.
    Raises ValueError (or what the value's own methods raise) where a value cannot be held: see row_record.
    """
    row = {name: value if type(value) in _AS_IS else _plain(value) for name, value in zip(names, values, strict=True)}
    return _encoder.encode(row)


def row_record(names: Sequence[str], values: Sequence[Any], where: str, file: str | None = None) -> Record:
    """One row as a record. Never raises: a row with a value that cannot be held gets an error which begins with
    `where` and names column and value; its payload then shows that value as text."""
    try:
        return Record(json_object(names, values), None, file)
    except Exception:
        # Only such a row pays for finding out which value it is.
        shown, problems = [], []
        for name, value in zip(names, values, strict=True):
            try:
                json_object([name], [value])
                shown.append(value)
            except Exception as error:
                text = as_text(value)
                problems.append(f"column '{name}' holds {text[:200]}, which cannot be held: {error}")
                shown.append(text)
        return Record(json_object(names, shown), f"{where}: {'; '.join(problems)}", file)


def as_text(value: Any) -> str:
    """Any value as text, for a person to read or for a hash."""
    if isinstance(value, Unheld):
        return value.text
    try:
        plain = _plain(value)
        return plain if isinstance(plain, str) else _encoder.encode(plain)
    except Exception:
        try:
            return str(value)
        except Exception:
            return f"a {type(value).__name__}"


def _plain(value: Any) -> Any:
    if isinstance(value, _AS_IS):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, datetime):
        return _timestamp(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return _text_of(bytes(value))
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, timedelta):
        micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
        return Decimal(micros) / 1_000_000
    if isinstance(value, Unheld):
        raise ValueError(value.why)
    return str(value)


def _text_of(content: bytes) -> str:
    filled = content.rstrip(b"\0")
    try:
        text = filled.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or _CONTROL.search(text) or (content and not filled):
        return base64.b64encode(content).decode()
    return text


def _timestamp(value: datetime) -> str | None:
    if value != value:  # pandas' NaT
        return None
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
