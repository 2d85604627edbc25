"""One delivery of one sync: recover, plan, freeze, send (sending.py).

A crash anywhere loses nothing, and at most the batch in flight is sent twice, under the same idempotency keys where its
values are still the same. All of it is about one place: the destination under the address that it has now.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from cdp_orchestration.delivery import in_flight
from cdp_orchestration.delivery.compaction import compact_if_due
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.mapping import write_mapping
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.delivery.plan import Plan, emptying, planning, plans_folder
from cdp_orchestration.delivery.sending import OPERATIONS, Sending, Summary
from cdp_orchestration.delivery.sync import NO_GUARD, Sync
from cdp_orchestration.destinations.base import Destination
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Warehouse

log = logging.getLogger("cdp")


def deliver(
    sync: Sync,
    destination: Destination,
    warehouse: Warehouse,
    home: Home,
    run_id: str,
) -> Summary:
    """Sends what is owed. The warehouse is read before anything is sent, and not held meanwhile.

    A destination that fails or refuses is reported in the summary's `stopped` and `problems`. Raises NeedsAPerson when
    nothing was sent (a bad model, the guard), CdpError when the connector itself broke.
    """
    place = Place(sync.destination, destination.address())

    def plan(ledger: Ledger) -> AbstractContextManager[Plan]:
        return planning(sync, warehouse, ledger, place)

    return _carry_out(plan, place, sync, destination, home, run_id)


def empty(sync: Sync, destination: Destination, home: Home, run_id: str) -> Summary:
    """Removes all that the sync holds at the destination's address, whatever its mode; its model may be gone."""
    place = Place(sync.destination, destination.address())

    def plan(ledger: Ledger) -> AbstractContextManager[Plan]:
        return emptying(sync, ledger, place)

    return _carry_out(plan, place, sync, destination, home, run_id)


def _carry_out(
    planned: Callable[[Ledger], AbstractContextManager[Plan]],
    place: Place,
    sync: Sync,
    destination: Destination,
    home: Home,
    run_id: str,
) -> Summary:
    started = time.monotonic()
    ledger = Ledger(home.deliveries)
    ledger.prepare()
    with ledger.locked(sync.name):
        ledger.adopt(sync.name, place)  # before the first plan, or a change of address would take old rows along
        folder = plans_folder(home, sync.name)
        in_flight.recover(ledger, sync.name, folder)
        compact_if_due(ledger, sync.name)
        with planned(ledger) as plan:
            is_allowed = ledger.is_allowed_once(sync.name)
            if not is_allowed:
                plan.check_guard()
            summary = Summary(
                sync.name, run_id, plan.operations, sum(plan.withheld.values()), plan.shared, plan.elsewhere,
                members=plan.members, withheld_by=plan.withheld,
            )  # fmt: skip
            frozen = plan.freeze(folder, run_id)
            if plan.mapping:
                write_mapping(ledger.root, sync.name, place, plan.mapping)
        for why in plan.changed.again:
            log.info(f"{sync.name}: all rows that this touches are sent again, because {why}.")
        log.info(f"{sync.name}: {_in_words(plan)}")
        try:
            guard = NO_GUARD if is_allowed else sync.guard
            Sending(destination, ledger, frozen, place, summary, guard).run()
        finally:
            if is_allowed:
                ledger.decide(sync.name, "allow_used", place)
            summary.held = ledger.held(sync.name, place, sync.mode == "append")
            summary.seconds = time.monotonic() - started
    return summary


def _in_words(plan: Plan) -> str:
    owed = ", ".join(f"{plan.operations[o]} to {o}" for o in OPERATIONS)
    withheld = ", ".join(f"{rows} for {reason}" for reason, rows in plan.withheld.items())
    parts = [f"{owed}; {sum(plan.withheld.values())} withheld" + (f" ({withheld})" if withheld else "")]
    if plan.shared:
        parts.append(f"{plan.shared} share the identifiers of another row, which stands for them")
    if plan.elsewhere:
        parts.append(f"{plan.elsewhere} stay at an earlier address (`cdp status` shows where)")
    return "; ".join(parts) + "."
