"""`cdp export AUDIENCE`: the members of an audience as CSV, one row per identity, below CDP_HOME/exports.

Addresses and phone numbers are masked unless they are asked for. `exports/log.jsonl` has a line per export, written before the
file takes its name, so that whoever erases a person or withdraws a consent knows which files may hold them.
"""

import json
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cdp_orchestration.destinations._spreadsheet_csv import line
from cdp_orchestration.disk import held, sync_folder, whole_file
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import masked
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.queries.audiences import built_audience
from cdp_orchestration.warehouse import Warehouse

COLUMNS = ("profile_id", "entered_at", "identifier_type", "identifier_value")


@dataclass
class Export:
    """A finished export. A row is an identity; a member without any has one row all the same."""

    file: Path
    rows: int = 0
    members: int = 0


def export(home: Home, audience: str, with_pii: bool = False) -> Export:
    """Write the file and its line of the log. Raises NeedsAPerson for an unknown audience, or a folder that is closed to us."""
    manifest, rules = current_manifest(home), identity_rules()
    now = datetime.now(UTC)
    done = Export(home.exports / f"{audience}-{now:%Y%m%dT%H%M%S%fZ}.csv")
    with Warehouse(home).reading() as connection:
        built_audience(connection, manifest, audience)
        portions = connection.portions(
            """
            select members.profile_id, members.entered_at, held.identifier_type, held.identifier_value
            from audiences.current_members as members
            left join identity.identifiers as held on held.profile_id = members.profile_id
            where members.audience = ?
            order by members.profile_id, held.identifier_type, held.identifier_value
            """,
            [audience],
        )
        entry = {"when": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}", "who": _who(), "audience": audience}
        try:
            with held(home.exports / ".lock"):
                _sweep(home)
                with whole_file(done.file) as file:
                    os.fchmod(file.fileno(), 0o600)  # it is about people
                    _write(file, portions, None if with_pii else rules, done)
                    file.flush()
                    os.fsync(file.fileno())
                    what = {"rows": done.rows, "members": done.members, "with_pii": with_pii}
                    _log(home, {**entry, **what, "file": f"{home.exports.name}/{done.file.name}"})
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise NeedsAPerson(
                f"{home.exports}: cannot be written to ({error.strerror}). Correct its permissions."
            ) from None
    return done


def _write(
    file: IO[bytes], portions: Iterator[list[tuple[Any, ...]]], rules: dict[str, Any] | None, done: Export
) -> None:
    """The rows, masked by the rules where they are given. Rows of a member follow each other."""
    file.write(line(COLUMNS, neutralise=True))
    last = None
    for portion in portions:
        for profile_id, entered_at, kind, value in portion:
            shown = masked(rules, kind, value) if rules and value is not None else value
            file.write(line([profile_id, f"{entered_at:%Y-%m-%dT%H:%M:%SZ}", kind, shown], neutralise=True))
            done.rows += 1
            done.members += profile_id != last
            last = profile_id


def _sweep(home: Home) -> None:
    """Remove what an export left that was killed. No other is at work: each holds the lock."""
    for unfinished in home.exports.glob(".*.csv.tmp"):
        unfinished.unlink(missing_ok=True)


def _log(home: Home, entry: dict[str, Any]) -> None:
    """Append a line, and wait until it is on the disk. After a torn one, of a power cut, it begins a line of its own."""
    log = home.exports / "log.jsonl"
    with open(log, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
            file.write(b"\n" if torn else b"")
        file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(home.exports)


def _who() -> str:
    """The user of the operating system: of the process, not of a variable that anybody sets."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
