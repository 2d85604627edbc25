"""Whether the last pass still holds: then another one would change nothing, and `cdp run` makes none.

A pass that went well leaves a note in the home; whatever builds takes it away first. The note holds while the files of the
project are the same, the moment is the same, no source has anything new, and no sync owes anything. All this is judged
without importing Dagster or dbt, in a second or two.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdp_orchestration.clock import parsed_as_of
from cdp_orchestration.connections import Connection, connections
from cdp_orchestration.delivery import in_flight
from cdp_orchestration.delivery.declared import declared_syncs, read_sync
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.permission import kept_at_home
from cdp_orchestration.delivery.plan import backlog
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.project.manifest import PARSED_FROM, state_of
from cdp_orchestration.warehouse import Warehouse, target

OWED = ("add", "update", "remove")


def remember(home: Home, build_id: str) -> None:
    """Note that a whole pass went well: it pulled, built in the run `build_id`, and delivered."""
    _note(home).write_text(json.dumps({"files": _files(), "target": target(), "build_id": build_id}))


def forget(home: Home) -> None:
    """Something is about to change the warehouse."""
    _note(home).unlink(missing_ok=True)


def is_still_good(home: Home, as_of: str | None) -> bool:
    """Whether a pass as of that moment (ISO 8601; None: the clock) would change nothing. What cannot be judged is a no: the
    pass will say what is wrong."""
    try:
        noted = json.loads(_note(home).read_text())
    except (OSError, ValueError):
        return False
    if as_of is None or noted.get("target") != target() or noted.get("files") != _files():
        return False
    with suppress(Exception):  # of a connector, too: the pass meets it again, and says so
        return (
            _was_last_build(home, str(noted["build_id"]), parsed_as_of(as_of))
            and not _owes(home)
            and not any(_has_news(home, source) for source in connections("sources").values())
        )
    return False


def _note(home: Home) -> Path:
    return home.root / "last_pass.json"


def _files() -> str:
    """md5 hex over the contents of all that a pass reads of the project: models, macros, seeds, variables, definitions, code."""
    digest = hashlib.md5(state_of(PROJECT_ROOT).encode())
    code = PROJECT_ROOT / "cdp_orchestration"
    for path in sorted(path for path in code.rglob("*") if path.suffix in (".py", ".yaml")):
        digest.update(f"\n{path.relative_to(code)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _was_last_build(home: Home, build_id: str, as_of: str) -> bool:
    """Whether the warehouse is as that build left it, for that moment, with all that has landed since."""
    with Warehouse(home).reading() as connection:
        row = connection.execute("select build_id, as_of, through_batch_seq from staging.current_build").fetchone()
    return bool(
        row
        and row[0] == build_id
        and row[1].isoformat(sep=" ", timespec="microseconds") == as_of
        and row[2] == Landing(home.landing).last_seq()
    )


def _owes(home: Home) -> bool:
    manifest = _manifest(home)
    ledger = Ledger(home.deliveries)
    if in_flight.is_any(ledger):
        return True
    known = connections("destinations")
    for node in declared_syncs(manifest):
        sync = read_sync(node)
        if known[sync.destination].is_waiting:
            continue
        destination = known[sync.destination].destination(home, sync.target, sync.mode)
        if kept_at_home(destination, sync.destination):
            destination.close()
            continue
        try:
            address = destination.address()
        finally:
            destination.close()
        owed = backlog(sync, Warehouse(home), home, address)
        if any(owed[operation] for operation in OWED):
            return True
    return False


def _has_news(home: Home, source: Connection) -> bool:
    """Whether a pull of any of its streams would begin with a record."""
    landing, connector = Landing(home.landing), source.source(home)
    for stream in source.streams:
        pages = connector.pull(stream, landing.state(source.name, stream), landing.files(source.name, stream))
        if any(page.records for page in pages):
            return True
    return False


def _manifest(home: Home) -> dict[str, Any]:
    """The manifest of the last parse. The note says that the files are the same; only a removed cache is parsed again."""
    if not (home.dbt_target / PARSED_FROM).exists():
        raise CdpError("The dbt project was not parsed yet.")
    return dict(json.loads((home.dbt_target / "manifest.json").read_text()))
