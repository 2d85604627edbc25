"""The batch being sent: marked before it is sent, so that a delivery that dies leaves word of which rows may have arrived.

The marker, deliveries/in_flight/<sync>.json, names the plan, the rows of it and the place; it goes once their outcomes are in
the ledger.
"""

import json
import logging
from pathlib import Path

from cdp_orchestration.delivery.ledger import UNKNOWN, Entry, Ledger, read_plan
from cdp_orchestration.delivery.places import Place
from cdp_orchestration.disk import sync_folder, whole_file
from cdp_orchestration.errors import NeedsAPerson

log = logging.getLogger("cdp")


def mark(ledger: Ledger, sync: str, run_id: str, plan: Path, ordinals: list[int], place: Place) -> None:
    """Says, before anything is sent, which rows of which plan are in flight, and where to."""
    marker = {
        "run_id": run_id,
        "plan": plan.name,
        "ledger_no": ledger.next_no(sync),
        "ordinals": _ranges(ordinals),
        "destination": place.destination,
        "address": place.address,
    }
    with whole_file(_marker(ledger, sync)) as handle:
        handle.write(json.dumps(marker).encode())


def unmark(ledger: Ledger, sync: str) -> None:
    """The batch's outcomes are in the ledger."""
    _marker(ledger, sync).unlink(missing_ok=True)
    sync_folder(_marker(ledger, sync).parent)


def is_any(ledger: Ledger) -> bool:
    """Whether a delivery is at work, or died while it sent."""
    return any(_marker(ledger, "any").parent.glob("*.json"))


def recover(ledger: Ledger, sync: str, plans: Path) -> None:
    """Writes down the batch that a dead process had in flight as of unknown outcome. `plans`: the sync's plans.

    Raises NeedsAPerson when the marker or its plan cannot be read.
    """
    folder = ledger.folder(sync)
    for leftover in folder.glob(".*.tmp") if folder.is_dir() else ():
        leftover.unlink(missing_ok=True)
    path = _marker(ledger, sync)
    if not path.exists():
        return
    try:
        marker = json.loads(path.read_bytes())
        # Where it was sent, whatever the destination's address is now; an older marker does not say.
        place = Place(marker.get("destination"), marker.get("address"))
        entries = []
        # A later number: the batch's own file took this one, so its outcomes are known.
        if ledger.next_no(sync) <= marker["ledger_no"]:
            flying = {n for first, last in marker["ordinals"] for n in range(first, last + 1)}
            said = "the process ended before the answer came"
            for row in read_plan(plans / marker["plan"]):
                if row.ordinal in flying:
                    entries.append(Entry(row, "failed", UNKNOWN, said))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NeedsAPerson(
            f"{path}: a delivery died while sending, and what it was sending cannot be read ({error}). Restore "
            f"{plans} from a backup; or delete the marker file, accepting that rows of that batch which are not "
            "wanted any more may stay at the destination."
        ) from error
    if entries:
        log.warning(f"{sync}: run {marker['run_id']} died while sending {len(entries)} rows; they may have arrived.")
        ledger.append(sync, marker["run_id"], entries, place)
    unmark(ledger, sync)


def _marker(ledger: Ledger, sync: str) -> Path:
    return ledger.root / "in_flight" / f"{sync}.json"


def _ranges(ordinals: list[int]) -> list[list[int]]:
    """[1, 2, 3, 7] as [[1, 3], [7, 7]], so that a marker for a million rows stays small."""
    ranges: list[list[int]] = []
    for ordinal in ordinals:
        if ranges and ranges[-1][1] == ordinal - 1:
            ranges[-1][1] = ordinal
        else:
            ranges.append([ordinal, ordinal])
    return ranges
