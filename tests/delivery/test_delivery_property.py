"""Whatever was wanted and whatever went wrong on the way: once faults stop, the destination holds what is wanted."""

import contextlib
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery import in_flight
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.delivery.plan import planning, plans_folder
from cdp_orchestration.delivery.sync import Sync
from cdp_orchestration.destinations.base import Operation, Outcome
from cdp_orchestration.errors import CdpError, NeedsAPerson, NoAnswer, Refused
from tests.delivery.test_delivery import Recorder, World, vips

CONSENT = [{"regulation": "gdpr", "purpose": "email_marketing"}]
Held = dict[str, Any]  # by what the destination knows a person by: the address, or the row_key where there is none


class PowerCut(BaseException):
    """The process dies."""


class Faulty(Recorder):
    """A destination that knows people by their email, ignores keys that it took before, and has its days.

    `days`: what goes wrong with each request, in order; afterwards nothing does.
    """

    def __init__(self, batch_size: int | None, ordered: bool) -> None:
        super().__init__(batch_size=batch_size, ordered=ordered)
        self.days: list[str] = []
        self.held: Held = {}
        self.seen: set[str] = set()

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        day = self.days.pop(0) if self.days else "fine"
        if day == "refused":
            raise Refused("not today", code="422")
        if day == "down":
            raise NoAnswer("down", code="503", may_have_arrived=False)
        if day == "stop":
            raise NeedsAPerson("401")
        if day == "died before":
            raise PowerCut
        bad = operations[0].row_key if day == "one row refused" else None
        took = [o for o in operations if o.row_key != bad]
        for operation in took[: len(took) // 2] if day == "lost halfway" else took:
            self._take(operation)
        if day in ("answer lost", "lost halfway"):
            raise NoAnswer("timeout")
        if day == "broken":
            raise RuntimeError("bug")
        if day == "died after":
            raise PowerCut
        return [Outcome(o.row_key, "refused" if o.row_key == bad else "accepted") for o in operations]

    def _take(self, operation: Operation) -> None:
        if operation.idempotency_key in self.seen:
            return
        self.seen.add(operation.idempotency_key)
        key = entry(operation.row_key, operation.identifiers["email"])
        if operation.operation == "remove":
            assert operation.fields == operation.identifiers
            self.held.pop(key, None)
        else:
            self.held[key] = operation.fields


def entry(row_key: str, email: str | None) -> str:
    return email or f"row {row_key}"


DAYS = st.sampled_from(
    ["fine", "refused", "one row refused", "down", "answer lost", "lost halfway", "broken", "stop", "died before",
     "died after"]
)  # fmt: skip
ROW = st.tuples(st.sampled_from(["x@x.io", "y@x.io", None]), st.sampled_from([None, 1.0, 2.0]), st.booleans())
WANTED = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), ROW)
STEPS = st.lists(st.tuples(WANTED, st.lists(DAYS, max_size=4), st.booleans()), min_size=1, max_size=4)


def held_by(wanted: dict[str, Any]) -> Held:
    """What the destination should hold, told slowly: of the rows of an entry that may leave, the first one's fields."""
    held: Held = {}
    for key, (email, spend, yes) in sorted(wanted.items()):
        if yes:
            held.setdefault(entry(key, email), {"email": email, "spend_usd": spend})
    return held


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, batching=st.sampled_from([(1, False), (3, False), (None, True), (2, True)]))
def test_the_destination_ends_up_with_what_is_wanted(steps: list[Any], batching: tuple[int | None, bool]) -> None:
    """Shared addresses, consents that come and go, addresses that change, deaths, somebody who asks for a resync, and compaction all the while."""
    sync = vips(consent=CONSENT, identifiers=["email"], nulls="send")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(of_ledger, "SMALL_FILES", 4)
        world, crm = World(Path(folder)), Faulty(*batching)
        for wanted, days, resync in steps:
            world.want({key: {"email": email, "spend_usd": spend} for key, (email, spend, _) in wanted.items()})
            world.grant({f"p-{key}": "granted" if yes else "denied" for key, (_, _, yes) in wanted.items()})
            if resync:
                Ledger(world.home.deliveries).decide("vips", "resync", Place("fake", crm.address()))
            crm.days = list(days)
            with contextlib.suppress(PowerCut, CdpError):
                world.deliver(crm, sync)
        crm.days = []
        check_digest(world, sync)
        summary = world.deliver(crm, sync)
        should = held_by(wanted)
        assert summary.stopped is None
        assert crm.held == should
        assert replayed(world) == set(should)
        withheld = sum(not yes for _, _, yes in wanted.values())
        assert (summary.held, summary.withheld) == (len(should), withheld)
        assert summary.shared == len(wanted) - withheld - len(should)
        crm.requests.clear()
        world.deliver(crm, sync)
        assert crm.requests == [], "nothing is owed any more"


def check_digest(world: World, sync: Sync) -> None:
    """The plan by the digest of what is compacted is the plan by the whole ledger, keys and attempts included."""
    ledger, place = Ledger(world.home.deliveries), Place("fake", "here")
    with ledger.locked("vips"):
        in_flight.recover(ledger, "vips", plans_folder(world.home, "vips"))
    plans = []
    relation = ledger.relation
    for digested in (True, False):
        ledger.relation = partial(relation, digested=digested)  # type: ignore[method-assign]
        with planning(sync, world.warehouse, ledger, place) as plan:
            plans.append(plan.connection.execute("from planned order by ordinal").fetchall())
    assert plans[0] == plans[1]


def replayed(world: World) -> set[str]:
    """What the accepted operations of the ledger, in its order, leave at the destination."""
    held = set()
    for row in world.ledger():
        if row["status"] == "accepted":
            known = entry(row["row_key"], json.loads(row["identifiers_sent"])["email"])
            (held.discard if row["operation"] == "remove" else held.add)(known)
    return held


@pytest.mark.parametrize("mode", ["mirror", "upsert"])
def test_rows_without_consent_never_leave(tmp_path: Path, mode: str) -> None:
    world, crm = World(tmp_path), Faulty(2, False)
    world.want({key: {"email": f"{key}@x.io", "spend_usd": 1.0} for key in "abcd"})
    world.grant({"p-a": "granted", "p-b": "denied", "p-c": "unknown"})
    world.deliver(crm, vips(consent=CONSENT, identifiers=["email"], mode=mode))
    assert set(crm.held) == {"a@x.io"}
