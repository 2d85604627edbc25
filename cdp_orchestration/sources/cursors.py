"""Cursors: how far a stream has been read, and which values can say so.

A cursor is a time, a number or a text (its kind). The kind is declared (`cursor_type`), else the column's own, else what
the values look like; it is kept in the reading position, so that later pulls read the cursor the same way. Values are
only ever compared as points of that kind: two spellings of one time are one point.

Some values can never be a position: a time that lies more than a day ahead of the pull's clock, infinity, a type's first
or last value, a value of another kind. A row that has one is read at every pull and lands once per version of the row.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from cdp_orchestration.landing.records import Unheld

Kind = Literal["time", "number", "text"]

AHEAD = timedelta(hours=24)
# The first values of types that hold times: MySQL's datetime and timestamp (and the epoch), SQL Server's datetime and
# smalldatetime. Whatever is in the year 1 or before, is nobody's time of change either.
FIRST_TIMES = (
    datetime(1000, 1, 1), datetime(1753, 1, 1), datetime(1900, 1, 1), datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 1),
)  # fmt: skip
YEAR_ONE_ENDS = datetime(1, 1, 2)

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ]\s*(\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,12}))?\s*([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?"
)
# A leading zero is padding, and padded numbers sort as texts do.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)
_DAYS_FIRST = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}(?!\d)")
_ZERO_TIME = re.compile(r"0000-\d\d-\d\d.*", re.DOTALL)


def parsed_time(text: str) -> datetime | None:
    """An ISO 8601 time as UTC without zone (a time without zone is taken as UTC); None for any other text."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day} {clock}" if clock else day)
        if fraction:
            moment = moment.replace(microsecond=int(fraction[:6].ljust(6, "0")))
        if zone and zone[0] in "+-":
            hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
            ahead = timedelta(hours=hours, minutes=minutes)
            moment = moment - ahead if zone[0] == "+" else moment + ahead
    except (ValueError, OverflowError):
        return None
    return moment


def kind_of(value: Any) -> Kind | None:
    """What kind a single value is of; None for null, a blank, and what no cursor can be."""
    if isinstance(value, str):
        if not value.strip():
            return None
        return "time" if parsed_time(value) or _ZERO_TIME.fullmatch(value) else "text"
    if isinstance(value, date):
        return "time"
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return "number"
    return None


def kind_of_all(values: Iterable[Any]) -> tuple[Kind | None, bool]:
    """The kind of a column without a type (None where no value says anything), and whether it is numbers
    that are written as texts: as texts, 9 comes after 10."""
    counts = {"time": 0, "number": 0, "text": 0, "written": 0}
    for value in values:
        if kind := kind_of(value):
            is_written = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
            counts["written" if is_written else kind] += 1
    # Nothing else looks like a time by accident; placeholders beside times are common.
    texts = counts["text"] + counts["written"]
    if counts["time"] and counts["time"] >= counts["number"] and counts["time"] * 20 >= texts:
        return "time", False
    if counts["number"] and counts["number"] >= texts:
        return "number", False
    if counts["written"] and counts["written"] >= counts["text"]:
        return "number", True
    return ("text" if texts else None), False


def days_first(values: Iterable[Any]) -> str | None:
    """An example, where most texts are dates that do not sort as the days do (31.12.2026, 12/31/2026)."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    found = [text for text in texts if _DAYS_FIRST.match(text.strip())]
    return found[0] if found and len(found) * 2 > len(texts) else None


def epoch(value: int | float | Decimal) -> datetime | None:
    """The time that a number of seconds, milliseconds, microseconds or nanoseconds since 1970 is; its size shows which of them."""
    try:
        return datetime(1970, 1, 1) + timedelta(microseconds=int(value * 1_000_000) // epoch_unit(value))
    except (OverflowError, ValueError):
        return None


def epoch_unit(value: int | float | Decimal) -> int:
    """How many of the number's units make a second. Up to the year 5138 a number of seconds is smaller than one of
    milliseconds after 1973, and so on."""
    for unit in (1, 1000, 1_000_000):
        if -100_000_000_000 * unit < value < 100_000_000_000 * unit:
            return unit
    return 1_000_000_000


@dataclass
class Cursor:
    """How the cursor of one stream is read in one pull.

    now:      the pull's clock, UTC without zone.
    extremes: first and last values of a numeric column's type.
    texts_are_numbers: numbers may be written as texts.
    numbers_are_times: numbers are times, counted since 1970.
    """

    kind: Kind | None
    now: datetime
    lag: float = 0
    extremes: frozenset[Any] = frozenset()
    texts_are_numbers: bool = False
    numbers_are_times: bool = False

    def point(self, value: Any) -> Any:
        """What `value` is compared by; None where it can be no position."""
        return None if value is None or self._trouble(value) else self._point(value)

    def trouble(self, value: Any) -> str:
        """Why `value` can be no position, in words."""
        return self._trouble(value) or ""

    def since(self, last: Any) -> Any:
        """The point at which the next pull begins to read: the last one less the lag."""
        point = self._point(last)
        try:
            if self.kind == "time":
                if isinstance(last, int | float | Decimal):
                    return point - timedelta(seconds=self.lag)
                is_day = len(last.strip()) == 10 if isinstance(last, str) else not isinstance(last, datetime)
                return point - (timedelta(days=-(-self.lag // 86400)) if is_day else timedelta(seconds=self.lag))
            if self.kind == "number" and self.lag:
                return point - (math.ceil(self.lag) if isinstance(point, int) else _alike(self.lag, point))
        except OverflowError:
            return datetime.min
        return point

    def _point(self, value: Any) -> Any:
        if self.kind == "time":
            if isinstance(value, str):
                return parsed_time(value)
            if self.numbers_are_times and kind_of(value) == "number" and _is_finite(value):
                return epoch(value)
            if not isinstance(value, date):
                return None
            if not isinstance(value, datetime):
                return datetime(value.year, value.month, value.day)
            try:
                return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            except OverflowError:
                return None
        if self.kind == "number":
            if isinstance(value, str) and self.texts_are_numbers:
                try:
                    value = Decimal(value.strip())
                except ArithmeticError:
                    return None
            if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
                return None
            return value if _is_finite(value) else None
        if isinstance(value, UUID):
            return str(value)
        return value if isinstance(value, str) and value.strip() else None

    def _trouble(self, value: Any) -> str | None:
        if isinstance(value, Unheld):
            return value.why
        if isinstance(value, str) and not value.strip():
            return "it is blank"
        if isinstance(value, str) and value.strip().lower().lstrip("+-") in ("infinity", "inf") and self.kind != "text":
            return "it is infinity"
        if isinstance(value, float | Decimal) and not _is_finite(value):
            return "it is no finite number"
        point = self._point(value)
        if point is None:
            return f"it is no {self.kind}" if self.kind else "nothing says yet what kind of cursor this is"
        if self.kind == "time":
            if point > self.now + AHEAD:
                return "it lies more than 24 h ahead of the clock"
            if point < YEAR_ONE_ENDS or point in FIRST_TIMES:
                return "it is the first value of a type"
        if self.kind == "number" and point in self.extremes:
            return "it is the first or last value of its type"
        return None


def _is_finite(value: int | float | Decimal) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or math.isfinite(value)


def _alike(lag: float, point: Any) -> Any:
    return Decimal(str(lag)) if isinstance(point, Decimal) else lag
