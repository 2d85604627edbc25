"""`cdp sync NAME`: deliver one sync now, send all of it again, or be done with what it left at a destination."""

import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cdp_orchestration.connections import connections
from cdp_orchestration.delivery import in_flight
from cdp_orchestration.delivery.declared import declared_syncs, read_sync
from cdp_orchestration.delivery.deliver import empty
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.mapping import read_mapping
from cdp_orchestration.delivery.permission import kept_at_home
from cdp_orchestration.delivery.places import NOWHERE, Place
from cdp_orchestration.delivery.plan import holdings, plans_folder
from cdp_orchestration.delivery.sync import Sync
from cdp_orchestration.destinations.base import Destination, Mode
from cdp_orchestration.errors import CdpError, NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.warehouse import Warehouse

log = logging.getLogger("cdp")


def models_of(home: Home) -> dict[str, dict[str, Any]]:
    """The models that declare a sync, by name."""
    return {node["name"]: node for node in declared_syncs(current_manifest(home))}


def asset_of(home: Home, name: str) -> list[str]:
    """The key of the asset that delivers it. Raises NeedsAPerson for a sync that is not there, or gone, or faulty."""
    nodes = models_of(home)
    if name not in nodes:
        raise _unknown(home, name, nodes)
    return [read_sync(nodes[name]).destination, name]


def resync(home: Home, name: str) -> Place:
    """Notes that all that the sync has at its destination is to be sent again: the next delivery does it.

    What is there stays known, so that rows which are not wanted any more are still removed. Returns the place.
    """
    nodes = models_of(home)
    if name not in nodes:
        raise _unknown(home, name, nodes)
    return _decide(home, read_sync(nodes[name]), "resync")


def allow_once(home: Home, name: str) -> None:
    """Notes that the next delivery passes the sync's guards, and no later one."""
    nodes = models_of(home)
    if name not in nodes:
        raise _unknown(home, name, nodes)
    _decide(home, read_sync(nodes[name]), "allow_once")


def _decide(home: Home, sync: Sync, decision: str) -> Place:
    destination = _connected(home, sync.destination, sync.target, sync.mode)
    destination.close()
    ledger = Ledger(home.deliveries)
    place = Place(sync.destination, destination.address())
    with ledger.locked(sync.name):
        ledger.adopt(sync.name, place)
        in_flight.recover(ledger, sync.name, plans_folder(home, sync.name))
        ledger.decide(sync.name, decision, place)
    return place


def left_over(home: Home, name: str, at: str | None = None) -> dict[Place, int]:
    """The places that hold rows of the sync without being wanted there: earlier addresses, or all where its model is
    gone. at: only those of this destination. Raises NeedsAPerson for a sync that nobody knows."""
    here = _here(home, name)
    return {place: held for place, held in held_by(home, name, at).items() if place != here}


def held_by(home: Home, name: str, at: str | None = None) -> dict[Place, int]:
    """All places that hold, or may hold, rows of the sync, and how many. Raises NeedsAPerson as `left_over`."""
    ledger, nodes = Ledger(home.deliveries), models_of(home)
    if name not in nodes and name not in ledger.syncs():
        raise _unknown(home, name, nodes)
    found = holdings(ledger, name, _here(home, name) or NOWHERE)
    if at is not None and name not in nodes:
        # A ledger from before addresses were written down does not say where: the operator does.
        place = NOWHERE if NOWHERE not in found else Place(at, _address(home, at, {}))
        found = {place if held_at == NOWHERE else held_at: held for held_at, held in found.items()}
    return {place: held for place, held in found.items() if at is None or place.destination == at}


def let_go(home: Home, name: str, at: str | None) -> None:
    """Writes down that what earlier addresses of a sync hold, or what a sync without a model left, is no longer ours."""
    held_by(home, name)  # is there such a sync?
    ledger = Ledger(home.deliveries)
    with ledger.locked(name):
        in_flight.recover(ledger, name, plans_folder(home, name))
        if at is None or name in models_of(home):
            places = left_over(home, name, at)
        else:
            places = {p: held for p, held in holdings(ledger, name).items() if p.destination in (at, None)}
        if not places:
            raise NeedsAPerson(_nothing_left(home, name))
        for place, held in places.items():
            ledger.decide(name, "let_go", place)
            log.info(
                f"{name}: let go of {held} rows at {place}. They stay there, and are never removed by this platform."
            )


def remove_all(home: Home, name: str, at: str | None) -> bool:
    """Removes all that the sync holds, wherever its destinations can be reached; logs what it could not, and returns
    whether nothing is left. Raises NeedsAPerson where it cannot even begin."""
    done = True
    for place, held in held_by(home, name, at).items():
        try:
            destination = _at(home, name, place)
        except CdpError as error:
            log.info(f"{name}: {held} rows stay at {place}: {error}")
            done = False
            continue
        try:
            summary = empty(_sync(home, name, place), destination, home, f"remove-all-{uuid.uuid4()}")
        finally:
            destination.close()
        log.info(f"{name}: {summary.accepted['remove']} of {summary.planned['remove']} rows were removed from {place}.")
        for problem in [*summary.problems, *([summary.stopped] if summary.stopped else [])]:
            log.info(f"  {problem}")
        done = done and summary.accepted["remove"] == summary.planned["remove"]
    with suppress(CdpError):  # the ledger knows; the next load brings it to the warehouse
        Warehouse(home).load()
    return done


def is_declared(home: Home, name: str) -> bool:
    """Whether a model still says what the sync should hold, so that the next delivery adds it again."""
    return name in models_of(home)


def _here(home: Home, name: str) -> Place | None:
    """Where the sync's rows belong now; None where its model is gone. If its destination is not connected: where it was."""
    nodes = models_of(home)
    if name not in nodes:
        return None
    sync = read_sync(nodes[name])
    try:
        return Place(sync.destination, _address(home, sync.destination, sync.target))
    except CdpError:
        return Ledger(home.deliveries).last_place(name, sync.destination)


def _sync(home: Home, name: str, place: Place) -> Sync:
    node = models_of(home).get(name)
    if node is not None:
        return replace(read_sync(node), destination=str(place.destination))
    return Sync(name, "", str(place.destination), "mirror", "not_required")


def _at(home: Home, sync: str, place: Place) -> Destination:
    """The destination, connected to that very place, with the target that the sync last had there. Raises NeedsAPerson with
    what to do where it is not."""
    if place.destination is None:
        raise NeedsAPerson(
            "their ledger is from before addresses were written down. Say where they are: --at DESTINATION."
        )
    mapping = read_mapping(home.deliveries, sync, place)
    destination = _connected(home, place.destination, mapping.target if mapping else {})
    kept = kept_at_home(destination, place.destination)
    if kept:
        destination.close()
        raise NeedsAPerson(kept)
    if destination.address() != place.address:
        destination.close()
        raise NeedsAPerson(
            f"{place.destination} is at {destination.address()} now. Set its address back for this one command, or let the "
            "rows go (--let-go)."
        )
    return destination


def _address(home: Home, name: str, target: Mapping[str, Any]) -> str:
    destination = _connected(home, name, target)
    destination.close()
    return destination.address()


def _connected(home: Home, name: str, target: Mapping[str, Any], mode: Mode = "mirror") -> Destination:
    known = connections("destinations")
    if name not in known:
        raise NeedsAPerson(
            f"the destination '{name}' is no longer connected (cdp_orchestration/defs/destinations/{name}/defs.yaml). "
            "Connect it again under this name, or let the rows go (--let-go)."
        )
    if known[name].is_waiting:
        raise NeedsAPerson(f"{name} is not connected: set {known[name].waits_for} ({known[name].where}).")
    return known[name].destination(home, target, mode)


def _nothing_left(home: Home, name: str) -> str:
    if is_declared(home, name):
        return (
            f"{name}: no earlier address holds rows of it, so there is nothing to let go. What it holds now belongs to its "
            "model: remove the model first, or use --remove-all."
        )
    return f"{name}: no destination holds rows of it any more."


def _unknown(home: Home, name: str, nodes: dict[str, Any]) -> NeedsAPerson:
    gone = [sync for sync in Ledger(home.deliveries).syncs() if sync not in nodes]
    if name in gone:
        return NeedsAPerson(
            f"{name}: its model is gone, so there is nothing to deliver. `cdp sync {name} --remove-all` removes what it "
            "left at its destination, `--let-go` leaves it there."
        )
    text = f"There is no sync '{name}'. Syncs: {', '.join(nodes) or 'none'}"
    return NeedsAPerson(f"{text}; without a model, but in the ledger: {', '.join(gone)}." if gone else f"{text}.")
