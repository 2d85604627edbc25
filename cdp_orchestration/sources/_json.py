"""JSON Lines, and JSON documents: an array of objects, or objects that are written over several lines."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from cdp_orchestration.landing.records import BOM, Record, json_record
from cdp_orchestration.sources._text import BLANK, SPACE, Damaged

_OBJECT = re.compile(r"\{\s*(?:[\"}]|$)")
_LONGEST = 64 * 1024 * 1024  # of a line: what holds no line end at all is no JSON Lines, and must not fill the memory
_LOOSE = json.JSONDecoder()


def begins_with_object(text: str) -> bool:
    """Whether the first line that is not blank begins a JSON object."""
    return bool(_OBJECT.match(text.lstrip(BLANK)))


def read_json(raw: Any, name: str, encoding: str, is_document: bool) -> Iterator[Record]:
    """A value a line, unless the file is one document. `is_document`: its name says that it may be one."""
    document = _document(raw, encoding, is_document)
    if document is None:
        yield from _read_lines(raw, name, encoding)
    else:
        yield from _read_document(document, name)


def _read_lines(raw: Any, name: str, encoding: str) -> Iterator[Record]:
    # surrogateescape carries invalid bytes through, so that only the line which holds them is refused.
    text = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="\n")
    number = 0
    while line := text.readline(_LONGEST):
        number += 1
        if len(line) == _LONGEST and line[-1] != "\n":
            while (more := text.readline(_LONGEST)) and more[-1] != "\n":
                pass
            yield Record(line[:1000], f"line {number}: longer than {_LONGEST:,} characters", name)
        elif filled := line.strip(BLANK):
            record = json_record(filled, f"line {number}", name)
            if record.error is None or ("\r" not in filled and BOM not in filled):
                yield record
                continue
            parts = _parts(filled, number, name)
            number += filled.count("\r")
            yield from parts or [record]


def _parts(line: str, number: int, name: str) -> list[Record]:
    """The values of a line that holds several: lines may end in a carriage return alone, and files may have been joined
    without a line end, where a byte-order mark shows the seam."""
    found = []
    for place, text in enumerate(line.split("\r")):
        where = f"line {number + place}"
        pieces = [json_record(piece, where, name) for part in text.split(BOM) if (piece := part.strip(SPACE))]
        if any(piece.error for piece in pieces):  # the mark stands inside a text
            pieces = [json_record(text, where, name)]
        found += pieces
    return found if len(found) > 1 else []


def _document(raw: Any, encoding: str, by_name: bool) -> str | None:
    """The whole text, when it is no value a line. A document is held in memory."""
    text = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="\n")
    filled = (stripped for line in iter(lambda: text.readline(_LONGEST), "") if (stripped := line.strip(BLANK)))
    first, second = next(filled, ""), next(filled, None)
    text.detach()
    raw.seek(0)
    if not by_name and first not in ("{", "["):
        return None
    first_alone = json_record(first).error is None
    lines = (first_alone and (second is not None or first[0] != "[")) or (
        second is not None and second[0] == "{" and json_record(second).error is None and first[0] == "{"
    )
    if not first or lines:
        return None
    whole = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="\n")
    try:
        return whole.read().strip(BLANK)
    finally:
        whole.detach()


def _read_document(text: str, name: str) -> Iterator[Record]:
    """The elements of a JSON array, or objects one after the other, each as the text that it is in the document."""
    is_array = text[0] == "["
    at = _skip_space(text, 1 if is_array else 0)
    if is_array and text[at:] == "]":
        return
    while True:
        line = text.count("\n", 0, at) + 1
        try:
            end = _LOOSE.raw_decode(text, at)[1]
        except (ValueError, RecursionError) as error:
            problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Damaged(f"line {line}: not valid JSON: {problem}", "Correct its JSON.") from None
        yield json_record(text[at:end], f"line {line}", name)
        at = _skip_space(text, end)
        if not is_array and at == len(text):
            return
        if is_array and text[at : at + 1] == "]" and at + 1 == len(text):
            return
        if is_array and text[at : at + 1] != ",":
            line = text.count("\n", 0, at) + 1
            raise Damaged(f"line {line}: the JSON array is broken at character {at + 1}", "Correct its JSON.")
        at = _skip_space(text, at + 1 if is_array else at)


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in BLANK:
        at += 1
    return at
