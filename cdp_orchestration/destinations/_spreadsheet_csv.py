"""CSV that spreadsheets and parsers read alike: no row is torn, and no value runs as a formula.

A spreadsheet takes a text that begins with = + - or @ for a formula, also behind blanks, quotes or characters without
width, and also in the wide forms of Asian keyboards. Such a text gets a leading apostrophe, which a spreadsheet reads as
"this is text". A plain number (-5, +3.2, 1e5) and a phone number of digits and blanks (+351 912 000 118) run nothing and
stay as they are.
"""

import re
from collections.abc import Iterable
from typing import Any

# What stands before a formula without making it a text: blanks, control characters, quotes, characters without width.
_BLANKS = r"\s\x00-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_QUOTES = r"'\"`\u00ab\u00bb\u2018-\u201f\uff02\uff07"
_SIGNS = r"=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
# A tab or a line break at the front may be dropped by what opens the file, and a blank after it, too.
_FORMULA = re.compile(rf"[\t\r\n]|[{_BLANKS}{_QUOTES}]*[{_SIGNS}]")
_NUMBER = re.compile(r"\s*[+-] ?(\d[\d .,]*|[.,]\d+)([eE][+-]?\d+)?%?\s*", re.ASCII)
# Beyond comma, quote and line ends: what some reader splits lines or fields at, drops at the edges, or ends a text at.
_QUOTED = re.compile('[",;|\\t\\x00-\\x1f\\x7f\\x85\u2028\u2029]|^[\\s#]|\\s$')


def line(values: Iterable[Any], neutralise: bool) -> bytes:
    """One row, ended by a line feed. None is an empty field, an empty text is a quoted one."""
    return ",".join(_field(value, neutralise) for value in values).encode() + b"\n"


def neutral(text: str) -> str:
    """The text with an apostrophe before it if a spreadsheet would run it as a formula."""
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _field(value: Any, neutralise: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    text = neutral(value) if neutralise else value
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED.search(text) else text
