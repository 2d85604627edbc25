"""Sends a frozen plan batch by batch, and writes down what became of each row.

The batch in flight is marked before it is sent, and its outcomes are in the ledger before the next one is cut from the
frozen plan: a crash leaves at most one batch of which nobody knows whether it arrived.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cdp_orchestration.delivery import in_flight
from cdp_orchestration.delivery.compaction import compact_if_due
from cdp_orchestration.delivery.ledger import UNKNOWN, Entry, Ledger, Planned, read_plan
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.delivery.sync import Guard
from cdp_orchestration.destinations.base import Destination, Operation, Outcome
from cdp_orchestration.errors import CdpError, NeedsAPerson, Refused, TryAgain

log = logging.getLogger("cdp")

OPERATIONS = ("add", "update", "remove")
_FAILURES_IN_A_ROW = 3
_PROBLEMS = 10
_OVERHEAD = 200  # bytes around a row in a request
_MESSAGE = 300


@dataclass
class Summary:
    """What a delivery did, in rows by operation: planned = accepted + refused + failed + not_attempted.

    members: rows of the model. withheld: those that may not leave; withheld_by: them by reason. shared: rows that another
    row of the same identifiers stands for. held: entries at the destination afterwards. elsewhere: entries that earlier
    addresses still hold. problems: examples.
    stopped: why rows that may be sent are still owed; None where only refused rows, and additions that wait for a
    refused removal, are.
    """

    sync: str
    run_id: str
    planned: dict[str, int]
    withheld: int
    shared: int = 0
    elsewhere: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    held: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    stopped: str | None = None
    members: int = 0
    withheld_by: dict[str, int] = field(default_factory=dict)
    tried_new: int = 0  # rows that were not refused before with the same values
    refused_new: int = 0

    def ladder(self) -> list[tuple[str, int]]:
        """How the members became fewer: (rung, rows). Withheld rows by reason, then what is owed and what came of it."""
        rows, left = [("members", self.members)], self.members
        for reason, withheld in self.withheld_by.items():
            left -= withheld
            rows.append((f"after {reason}", left))
        if self.shared:
            left -= self.shared
            rows.append(("one per person at the destination", left))
        owed, accepted = sum(self.planned.values()), sum(self.accepted.values())
        refused, failed = sum(self.refused.values()), sum(self.failed.values())
        return [
            *rows,
            ("owed", owed),
            ("sent", accepted + refused + failed),
            ("accepted", accepted),
            ("refused", refused),
        ]

    @property
    def not_attempted(self) -> dict[str, int]:
        """Rows that stay owed because they were not sent."""
        return {o: self.planned[o] - self.accepted[o] - self.refused[o] - self.failed[o] for o in OPERATIONS}

    def rows(self) -> list[tuple[str, int, int, int, int, int]]:
        """A table: operation, planned, accepted, refused, failed, not attempted."""
        return [
            (o, self.planned[o], self.accepted[o], self.refused[o], self.failed[o], self.not_attempted[o])
            for o in OPERATIONS
        ]


class Sending:
    """The sending of one frozen plan."""

    def __init__(
        self,
        destination: Destination,
        ledger: Ledger,
        plan: Path,
        place: Place,
        summary: Summary,
        guard: Guard,
    ) -> None:
        self.guard = guard
        self.destination = destination
        self.ledger = ledger
        self.plan = plan
        self.place = place
        self.summary = summary
        self.unremoved: set[str] = set()  # row_keys of removals that were not accepted in this run
        self.entries: dict[int, Entry] = {}  # of the batch at hand, by ordinal
        self.requested: list[Planned] = []  # rows of the request at hand
        self.last_failure = ""
        self.last_refusal: Entry | None = None

    def run(self) -> None:
        failures, last_said = 0, time.monotonic()
        for batch in cut(
            read_plan(self.plan), self.destination.batch_size, self.destination.ordered, self.destination.batch_bytes
        ):
            error = self._deliver_batch(batch)
            failures = failures + 1 if error else 0
            if isinstance(error, NeedsAPerson):
                self.summary.stopped = str(error)
            elif failures >= _FAILURES_IN_A_ROW:
                self.summary.stopped = f"{failures} batches in a row failed: {error}"
            else:
                self.summary.stopped = self._too_many_refused()
            if self.summary.stopped:
                return
            if time.monotonic() - last_said > 10:
                last_said = time.monotonic()
                log.info(f"{self.summary.sync}: {sum(self.summary.accepted.values())} rows accepted so far")
        failed = sum(self.summary.failed.values())
        if failed:
            self.summary.stopped = f"{failed} rows failed and stay owed: {self.last_failure}"

    def _deliver_batch(self, batch: list[Planned]) -> Exception | None:
        """Sends one batch and writes its outcomes down. Returns the fault that ended it, if one did."""
        rows = self._sendable(batch)
        self.entries, self.requested = {}, []
        if not rows:
            return None
        sync, run_id = self.summary.sync, self.summary.run_id
        in_flight.mark(self.ledger, sync, run_id, self.plan, [row.ordinal for row in rows], self.place)
        fault: Exception | None = None
        try:
            self._send(rows)
        except Exception as error:
            fault = error
            self._fail_rest(rows, error)
        known = [self.entries[row.ordinal] for row in rows if row.ordinal in self.entries]
        self.ledger.append(sync, run_id, known, self.place)
        in_flight.unmark(self.ledger, sync)
        compact_if_due(self.ledger, sync)
        self._count()
        if fault is not None and not isinstance(fault, TryAgain | NeedsAPerson):
            raise CdpError(
                f"{sync}: the destination kind '{self.destination.kind}' broke with {type(fault).__name__}: {fault}. "
                "The rows of that batch may have arrived and are sent again by the next delivery; correct the connector."
            ) from fault
        return fault

    def _send(self, rows: list[Planned]) -> None:
        """Sends rows as one request; refused as a whole, they are halved until the bad row stands alone."""
        rows = self._sendable(rows)
        if not rows:
            return
        self.requested = rows
        operations = [
            Operation(r.operation, r.row_key, json.loads(r.fields), r.idempotency_key, json.loads(r.identifiers))
            for r in rows
        ]
        try:
            outcomes = self.destination.send(self.summary.sync, self.summary.run_id, operations)
        except Refused as refusal:
            self.requested = []
            if len(rows) > 1:
                middle = len(rows) // 2
                self._send(rows[:middle])
                self._send(rows[middle:])
                return
            outcomes = [Outcome(rows[0].row_key, "refused", refusal.code, str(refusal))]
        self._note(rows, outcomes)
        self.requested = []

    def _note(self, rows: list[Planned], outcomes: list[Outcome]) -> None:
        """Each row gets the next outcome that names it; one without did perhaps arrive."""
        by_key: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            by_key.setdefault(outcome.row_key, []).append(outcome)
        for row in rows:
            found = by_key.get(row.row_key)
            if found:
                outcome = found.pop(0)
                status = "accepted" if outcome.status == "accepted" else "refused"
                self._enter(row, status, outcome.code, outcome.message)
            else:
                self._enter(row, "failed", UNKNOWN, "the connector returned no outcome for this row")

    def _fail_rest(self, rows: list[Planned], error: Exception) -> None:
        """After a fault: rows of the request at hand may have arrived; those whose turn had not come have not."""
        maybe = getattr(error, "may_have_arrived", not isinstance(error, NeedsAPerson))
        code = str(getattr(error, "code", "")) or ("stopped" if isinstance(error, NeedsAPerson) else "failed")
        requested = {row.ordinal for row in self.requested}
        for row in self._sendable(rows):
            if row.ordinal not in self.entries:
                arrived = maybe and row.ordinal in requested
                self._enter(row, "failed", UNKNOWN if arrived else code, str(error))

    def _enter(self, row: Planned, status: str, code: str, message: str) -> None:
        self.entries[row.ordinal] = Entry(row, status, code, message[:_MESSAGE])
        if status == "failed":
            self.last_failure = message[:_MESSAGE]
        if row.operation == "remove" and status != "accepted":
            self.unremoved.add(row.row_key)

    def _sendable(self, rows: list[Planned]) -> list[Planned]:
        """Without additions whose removal under the old identifiers was not accepted: these stay owed.

        An update goes: its entry is there anyway, perhaps with the values of somebody who must not be there any more.
        """
        return [row for row in rows if row.operation != "add" or row.row_key not in self.unremoved]

    def _count(self) -> None:
        counters = {"accepted": self.summary.accepted, "refused": self.summary.refused, "failed": self.summary.failed}
        for entry in self.entries.values():
            if not entry.row.was_refused and entry.status != "failed":
                self.summary.tried_new += 1
                self.summary.refused_new += entry.status == "refused"
                self.last_refusal = entry if entry.status == "refused" else self.last_refusal
            counters[entry.status][entry.row.operation] += 1
            if entry.status != "accepted" and len(self.summary.problems) < _PROBLEMS:
                self.summary.problems.append(
                    f"{entry.status}: {entry.row.operation} of row_key '{entry.row.row_key}' "
                    f"(attempt {entry.row.attempt}): {entry.code} {entry.message}".rstrip()
                )

    def _too_many_refused(self) -> str | None:
        """Rows that were refused before with the values that they still have do not count: nothing new is wrong with them."""
        percent, tried, refused = self.guard.max_refused_percent, self.summary.tried_new, self.summary.refused_new
        if percent is None or tried < max(self.guard.min_held, 1) or 100 * refused <= percent * tried:
            return None
        last = self.last_refusal
        return (
            f"{refused} of the {tried} rows tried were refused, more than guard.max_refused_percent = {percent:g}"
            + (f" (code '{last.code}': {last.message})" if last else "")
            + "; the rest was not tried and stays owed. Check the destination's address and the sync's columns, or let one "
            f"delivery pass: cdp sync {self.summary.sync} --allow-once."
        )


def cut(rows: Iterable[Planned], size: int | None, ordered: bool, most: int | None = None) -> Iterator[list[Planned]]:
    """Batches of at most `size` rows and `most` bytes (as far as their fields are; one row alone may have more), in the
    plan's order.

    Unless the destination applies a batch in its order, removals do not share one with other operations, nor two
    operations of one row.
    """
    batch: list[Planned] = []
    keys: set[str] = set()
    weight = 0
    for row in rows:
        own = len(row.fields.encode()) + len(row.identifiers.encode()) + _OVERHEAD if most is not None else 0
        full = (size is not None and len(batch) >= size) or (most is not None and weight + own > most)
        clash = (
            bool(batch)
            and not ordered
            and (row.row_key in keys or (row.operation == "remove") != (batch[-1].operation == "remove"))
        )
        if batch and (full or clash):
            yield batch
            batch, keys, weight = [], set(), 0
        batch.append(row)
        keys.add(row.row_key)
        weight += own
    if batch:
        yield batch
