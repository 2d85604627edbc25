"""What taking apart gives: a tree of conditions, each with its verdict for one person."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = bool | None  # None: unknown, as in SQL, because something is null
LONGEST = 240
Kind = Literal["leaf", "all", "any", "not"]


@dataclass
class Condition:
    """A condition as the model has it, or several: `all`, `any`, or the opposite of one (`not`).

    `relations` are the relations that a leaf reads, and `row_of` the one whose row for this person it asks for; `within` says
    why there is such a row, or none: a condition of its own, which decides nothing here.
    """

    text: str
    kind: Kind = "leaf"
    parts: list["Condition"] = field(default_factory=list)
    holds: Verdict = None
    value: Any = None
    threshold: Any = None
    relations: frozenset[str] = frozenset()
    row_of: str | None = None
    within: "Condition | None" = None

    @property
    def shown(self) -> str:
        """The text as far as a person reads it: of what a helper wrote at length, the beginning and the end."""
        return self.text if len(self.text) <= LONGEST else f"{self.text[: LONGEST - 60]} … {self.text[-50:]}"

    @property
    def verdict(self) -> Verdict:
        """Of a leaf what the warehouse said, of the others what follows by SQL's rules."""
        parts = [part.verdict for part in self.parts]
        if self.kind == "all":
            return False if False in parts else None if None in parts else True
        if self.kind == "any":
            return True if True in parts else None if None in parts else False
        if self.kind == "not":
            return None if parts[0] is None else not parts[0]
        return self.holds

    def leaves(self) -> Iterator["Condition"]:
        if self.kind == "leaf":
            yield self
        for part in self.parts:
            yield from part.leaves()


def joined(kind: Kind, parts: list[Condition]) -> Condition:
    """Parts under one head; one part needs none, and those of the same kind are parts of it."""
    if kind == "not":
        return Condition("not", "not", parts)
    flat = [inner for part in parts for inner in (part.parts if part.kind == kind else [part])]
    return flat[0] if len(flat) == 1 else Condition(f"{kind} of", kind, flat)


def reasons(condition: Condition, wanted: bool = True) -> list[Condition]:
    """The leaves that keep the condition from being what is wanted; without those that only follow from a missing row."""
    found = _against(condition, wanted)
    missing = {leaf.row_of for leaf in found if leaf.row_of and not leaf.holds}
    return [leaf for leaf in found if leaf.row_of or not (leaf.relations and leaf.relations <= missing)]


def _against(condition: Condition, wanted: bool) -> list[Condition]:
    if condition.verdict is wanted:
        return []
    if condition.kind == "leaf":
        return [condition]
    if condition.kind == "not":
        return _against(condition.parts[0], not wanted)
    return [leaf for part in condition.parts for leaf in _against(part, wanted)]
