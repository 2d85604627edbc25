"""Positions: where the reading of a stream stands, and which rows that a pull meets have landed already."""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cdp_orchestration.landing.records import as_text, json_object
from cdp_orchestration.sources.cursors import Cursor

_TAIL = 1_000  # rows that a text cursor's collation may hold to be equal to the last one
_PRUNE_AT = 200_000


@dataclass
class Position:
    """Where the reading of a stream stands, and which rows that will be met again have landed already.

    last:     the largest usable cursor that was read, as the database gave it; None before there is one.
    seen:     mark of key and cursor -> cursor, of the rows from `since` on.
    unusable: marks of the rows, whole, that have no usable cursor.
    """

    cursor: Cursor
    last: Any = None
    seen: dict[str, Any] = field(default_factory=dict)
    unusable: set[str] = field(default_factory=set)
    healed_from: Any = None

    _point: Any = field(init=False, default=None)
    _since: Any = field(init=False, default=None)
    _met: set[str] = field(init=False, default_factory=set)
    _tail: deque[str] = field(init=False, default_factory=lambda: deque(maxlen=_TAIL))
    _prune_at: int = field(init=False, default=_PRUNE_AT)
    _troubles: dict[str, tuple[int, str]] = field(init=False, default_factory=dict)

    @classmethod
    def from_state(cls, state: dict[str, Any], cursor: Cursor) -> "Position":
        """The position in `state`, read as `cursor` reads; {} is the beginning.

        Where the last cursor is not usable (older versions let any value be the position), the largest usable one
        takes its place; where there is none, the stream is read from its beginning.
        """
        seen = {mark: from_state(value) for mark, value in state.get("seen", {}).items()}
        last = from_state(state["last"]) if "last" in state else None
        position = cls(cursor, last, seen, set(state.get("unusable", [])))
        if last is not None and cursor.point(last) is None:
            position.healed_from = last
            usable = [value for value in seen.values() if cursor.point(value) is not None]
            position.last = max(usable, key=cursor.point) if usable else None
        if position.last is not None:
            position._point, position._since = cursor.point(position.last), cursor.since(position.last)
        return position

    def is_new(self, keys: list[Any], value: Any, payload: str) -> bool:
        """Whether a row that was read must land, and notes that it was read. In the database's order of the cursor."""
        by_key = _mark(keys, value)
        point = self.cursor.point(value)
        if point is None:
            whole = _whole(payload)
            known = whole in self.unusable or whole in self._met or by_key in self.seen
            self._met.add(whole)
            if not known and value is not None:
                self._remember_trouble(value)
            return not known
        if self.cursor.kind != "text" and self._since is not None and point < self._since:
            return False  # the database was asked for more than it can distinguish
        if self.cursor.kind == "text":
            value = point  # a uuid is compared as the text that it is
        self._move(point, value)
        self._tail.append(by_key)
        if by_key in self.seen:
            return False
        self.seen[by_key] = value
        if self.unusable and _whole(payload) in self.unusable:
            return False  # it lay in the future when it landed, and has been overtaken by the clock
        if len(self.seen) > self._prune_at:
            self.seen = self._kept()
            self._prune_at = len(self.seen) + _PRUNE_AT
        return True

    def to_state(self) -> dict[str, Any]:
        """JSON-able; from_state reads it."""
        state: dict[str, Any] = {"seen": {mark: to_state(value) for mark, value in self._kept().items()}}
        if self.cursor.kind:
            state["type"] = self.cursor.kind
        if self.cursor.texts_are_numbers:
            state["texts"] = True
        if self.last is not None:
            state["last"] = to_state(self.last)
        if self._met:
            state["unusable"] = sorted(self._met)
        return state

    def notes(self, column: str) -> list[str]:
        """What a person should know about cursors that were met in this pull for the first time."""
        notes = []
        if self.healed_from is not None:
            go_on = f"from {as_text(self.last)} on" if self.last is not None else "from its beginning"
            notes.append(
                f"the reading position was {column} = {as_text(self.healed_from)}, which is no usable cursor "
                f"({self.cursor.trouble(self.healed_from)}); the stream was read {go_on}."
            )
        if self._troubles:
            count = sum(count for count, _ in self._troubles.values())
            rows = "1 row has a cursor" if count == 1 else f"{count:,} rows have a cursor"
            whys = "; ".join(f"{column} = {example} ({why})" for why, (_, example) in self._troubles.items())
            notes.append(
                f"{rows} that can be no reading position, for example {whys}. Such rows landed, are read at each pull, and "
                f"land again only when they change. Correct them in the source; if it is the cursor that is taken "
                f"wrongly (as a {self.cursor.kind or 'cursor of no kind'} now), set the stream's `cursor_type` (time, "
                f"number or text)."
            )
        return notes

    def _remember_trouble(self, value: Any) -> None:
        why = self.cursor.trouble(value)
        text = str(value) if isinstance(value, float | Decimal) else as_text(value)
        count, example = self._troubles.get(why, (0, f"'{text[:80]}'"))
        self._troubles[why] = (count + 1, example)

    def _move(self, point: Any, value: Any) -> None:
        # Texts are in the order of the database's collation, which only the database knows: the last one read is the
        # largest. Times and numbers have one order everywhere.
        if self._point is None or self.cursor.kind == "text" or point > self._point:
            self._point, self.last = point, value

    def _kept(self) -> dict[str, Any]:
        """Of the rows that landed, those that the next pull will meet again."""
        if self.last is None:
            return {}
        if self.cursor.kind == "text":
            tail = set(self._tail)
            return {mark: value for mark, value in self.seen.items() if mark in tail or value == self.last}
        since = self.cursor.since(self.last)
        points = ((mark, value, self.cursor.point(value)) for mark, value in self.seen.items())
        return {mark: value for mark, value, point in points if point is not None and point >= since}


def _whole(payload: str) -> str:
    return hashlib.md5(payload.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _mark(keys: list[Any], value: Any) -> str:
    try:
        text = json_object(["k", "c"], [keys, value])
    except Exception:
        text = json_object(["k", "c"], [[as_text(key) for key in keys], as_text(value)])
    return hashlib.md5(text.encode("utf-8", "surrogatepass")).hexdigest()


def to_state(value: Any) -> Any:
    """A cursor as JSON can hold it."""
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    return value if isinstance(value, str | int | float) else {"text": str(value)}


def from_state(value: Any) -> Any:
    """The cursor that to_state wrote, also in the manifests of older versions."""
    if not isinstance(value, dict):
        return value
    (kind, text), *_ = value.items()
    readers: dict[str, Any] = {
        "datetime": datetime.fromisoformat, "date": date.fromisoformat, "decimal": Decimal, "text": str,
    }  # fmt: skip
    return readers[kind](text)
