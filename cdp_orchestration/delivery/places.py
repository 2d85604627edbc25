"""Where a sync's rows are: a connected destination, and the address that it had when they were sent.

What was decided about a sync's places is kept beside the ledger, one decision a line; lines are only ever added:

    deliveries/decisions/<sync>.jsonl     {"decision", "destination", "address", "through", "at"}

adopt     rows of a ledger that did not write addresses yet are at this place: the one of the first delivery since
resync    what was accepted here up to the ledger_no `through` is sent again
let_go    rows that were sent here up to the ledger_no `through` are no longer ours: they stay where they are
allow_once, allow_used    the next delivery passes the sync's guards; it did
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdp_orchestration.disk import whole_file
from cdp_orchestration.errors import NeedsAPerson


@dataclass(frozen=True)
class Place:
    """A destination by its name, and its address. Both None: rows of an old ledger that nobody adopted."""

    destination: str | None
    address: str | None

    def __str__(self) -> str:
        return "an unknown address" if self.destination is None else f"{self.destination} ({self.address})"

    def written(self) -> tuple[str, str]:
        """Destination and address as SQL literals."""
        return _literal(self.destination), _literal(self.address)


NOWHERE = Place(None, None)


@dataclass
class Decisions:
    """What was decided about one sync."""

    adopted: Place | None = None
    resynced: dict[Place, int] = field(default_factory=dict)
    let_go: dict[Place, int] = field(default_factory=dict)
    allowed: int = 0


def decisions(root: Path, sync: str) -> Decisions:
    """What was decided so far; `root` is the home's deliveries folder. Raises NeedsAPerson for a file that is broken."""
    found = Decisions()
    path = _file(root, sync)
    try:
        for line in _lines(path):
            said = json.loads(line)
            place, through = Place(said["destination"], said["address"]), int(said["through"])
            if said["decision"] == "adopt":
                found.adopted = found.adopted or place
            elif said["decision"] == "resync":
                found.resynced[place] = through
            elif said["decision"] == "let_go":
                found.let_go[place] = through
            elif said["decision"] in ("allow_once", "allow_used"):
                found.allowed = int(said["decision"] == "allow_once")
            else:
                raise ValueError(f"unknown decision {said['decision']!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise NeedsAPerson(
            f"{path} cannot be read ({error}); it says at which address {sync}'s rows are and which were let go. Restore "
            "it from a backup."
        ) from error
    return found


def decide(root: Path, sync: str, decision: str, place: Place, through: int) -> None:
    """Adds a decision; it holds from the moment that this returns. The caller holds the sync's lock."""
    said: dict[str, Any] = {
        "decision": decision,
        "destination": place.destination,
        "address": place.address,
        "through": through,
        "at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
    }
    lines = [*_lines(_file(root, sync)), json.dumps(said, ensure_ascii=False).encode()]
    with whole_file(_file(root, sync)) as handle:
        handle.writelines(line + b"\n" for line in lines)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _file(root: Path, sync: str) -> Path:
    return root / "decisions" / f"{sync}.jsonl"


def _literal(text: str | None) -> str:
    return "cast(null as varchar)" if text is None else "'" + text.replace("'", "''") + "'"
