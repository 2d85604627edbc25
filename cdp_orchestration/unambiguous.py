"""JSON that every engine reads alike.

JSON lets a name stand twice in one object: one reader takes the first, another the last, a third keeps both. Here the
first one counts, and the text that is kept has it alone. What is nested deeper than any engine is sure to follow has no
reading at all.
"""

import json
from collections.abc import Iterable
from typing import Any

DEEPEST = 200


class Verbatim(str):
    """A number as it was spelled."""


def nested_too_deeply(text: str) -> bool:
    """Whether valid JSON holds more than DEEPEST arrays and objects in one another."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth, quoted, escaped = 0, False, False
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif letter in "]}":
            depth -= 1
    return False


def without_repeats(text: str) -> str:
    """Valid JSON, of repeated names only the first. Numbers stay as they are spelled."""
    return _written(
        json.loads(text, parse_int=Verbatim, parse_float=Verbatim, parse_constant=Verbatim, object_pairs_hook=_first)
    )


def repeats(names: Iterable[str]) -> bool:
    """Whether two of them are one name to the engines, which read U+FFFD for the character U+0000."""
    known = [name.replace("\0", "\ufffd") for name in names]
    return len(set(known)) < len(known)


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known: set[str] = set()
    kept: dict[str, Any] = {}
    for name, value in pairs:
        read = name.replace("\0", "\ufffd")
        if read not in known:
            kept[name] = value
        known.add(read)
    return kept


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, Verbatim):
        return value
    return json.dumps(value)
