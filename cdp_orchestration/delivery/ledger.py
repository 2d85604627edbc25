"""The ledger: what became of each attempt at each operation. Append-only Parquet, one file a batch.

    deliveries/ledger/<sync>/<first>-<last>.parquet   numbers of the rows in it; they only rise, so no two tie
    deliveries/ledger/<sync>/compacted/               many batches in one file (compacted.py); the rows are the same. And
                                                      digest-….parquet: of those, what a plan may still ask for
    deliveries/ledger/_schema/_schema.parquet         empty, so that a glob over the ledger always matches
    deliveries/in_flight/<sync>.json                  the batch being sent, while it is, and where to (in_flight.py)
    deliveries/locks/<sync>.lock                      who delivers

A batch's rows come to be with the rename of its file. A process that dies before leaves the in-flight marker, and the
next delivery writes its rows down as of unknown outcome: they may have arrived. A row is known by (sync, ledger_no),
whichever file it is in.
"""

import fcntl
import glob
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration import compacted, disk
from cdp_orchestration.delivery import plan_sql
from cdp_orchestration.delivery.places import NOWHERE, Decisions, Place, decide, decisions
from cdp_orchestration.disk import whole_file

log = logging.getLogger("cdp")

SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("sync", pa.string()),
        ("row_key", pa.string()),
        ("profile_id", pa.string()),
        ("operation", pa.string()),  # add, update, remove
        ("status", pa.string()),  # accepted, refused, failed
        ("attempt", pa.int64()),  # how often this idempotency_key was tried, counting this
        ("code", pa.string()),  # the other side's; 'unknown' with status failed: it may have arrived
        ("message", pa.string()),
        ("payload_hash", pa.string()),
        ("identifiers_sent", pa.string()),  # JSON object
        ("consent_message_id", pa.string()),
        ("idempotency_key", pa.string()),
        ("attempted_at", pa.timestamp("us")),  # UTC
        ("ledger_no", pa.int64()),  # order within the sync
        ("batch_no", pa.int64()),  # ledger_no of the first row of the same batch
        ("destination", pa.string()),  # its name; null in rows from before addresses were written down
        ("address", pa.string()),  # what it was at that moment
    ]
)
UNKNOWN = "unknown"
_STEM = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True)
class Planned:
    """One row of a frozen plan: an operation that is owed. `fields` and `identifiers` are JSON text."""

    ordinal: int
    operation: str
    row_key: str
    profile_id: str | None
    fields: str
    identifiers: str
    payload_hash: str
    consent_message_id: str | None
    idempotency_key: str
    attempt: int
    was_refused: bool = False  # with these very values


@dataclass(frozen=True)
class Entry:
    """The outcome of one attempt; `status` is accepted, refused or failed."""

    row: Planned
    status: str
    code: str
    message: str


def read_plan(path: Path, rows: int = 10_000) -> Iterator[Planned]:
    """The rows of a frozen plan, in the order in which they are sent."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=list(Planned.__dataclass_fields__)):
            for row in batch.to_pylist():
                yield Planned(**row)


class Ledger:
    """The ledger of one home (`<home>/deliveries`). Whoever appends holds `locked(sync)`; anyone may read."""

    def __init__(self, folder: Path) -> None:
        self.root = Path(folder)

    def prepare(self) -> None:
        """Writes the empty file that makes `ledger/*/*.parquet` match from the first day."""
        path = self.root / "ledger" / "_schema" / "_schema.parquet"
        if _has_schema(path):
            return
        # Two first deliveries (or a status) of a new home may come at once; no sync's name begins with _.
        with self.locked("_schema"):
            if not _has_schema(path):
                with whole_file(path) as handle:
                    pq.write_table(SCHEMA.empty_table(), handle)

    @contextmanager
    def locked(self, sync: str) -> Iterator[None]:
        """One delivery of a sync at a time; waits for another, saying so. The kernel frees it when its holder dies."""
        path = self.root / "locks" / f"{sync}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info(f"{sync}: another delivery of it is going on; waiting for it to end.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def if_free(self, sync: str) -> AbstractContextManager[bool]:
        """Holds the lock of `locked` if nobody delivers the sync; whether that is so."""
        return disk.if_free(self.root / "locks" / f"{sync}.lock")

    def relation(self, sync: str, unless_adopted: Place = NOWHERE, digested: bool = True) -> str:
        """SQL that reads, in DuckDB, of the sync's ledger what a plan may ask for (plan_sql.digest); or else all of it.

        Made and used under `reading`. Rows from before addresses were written down are where the first delivery since
        adopted them (before it: `unless_adopted`). is_let_go: they are no longer ours.
        """
        rows = self._digested(sync) if digested else undigested(self.files(sync), self.root)
        decided = self.decisions(sync)
        destination, address = (decided.adopted or unless_adopted).written()
        let_go = " or ".join(
            "(ledger_no <= {} and {})".format(
                through,
                "is_old" if place == NOWHERE else "destination = {} and address = {}".format(*place.written()),
            )
            for place, through in decided.let_go.items()
        )
        return f"""(
            select * exclude (is_old), {let_go or "false"} as is_let_go from (
                select * replace (
                    coalesce(destination, {destination}) as destination,
                    case when destination is null then {address} else address end as address
                ), destination is null as is_old
                from ({rows})
            )
        )"""

    def decisions(self, sync: str) -> Decisions:
        """What was decided about the places of the sync."""
        return decisions(self.root, sync)

    def decide(self, sync: str, decision: str, place: Place) -> None:
        """Decides adopt, resync or let_go for a place, as for all that the ledger holds now."""
        decide(self.root, sync, decision, place, self.next_no(sync) - 1)

    def adopt(self, sync: str, place: Place) -> None:
        """The first delivery that writes addresses down says where the rows are that came before."""
        if self.decisions(sync).adopted is None:
            self.decide(sync, "adopt", place)

    def is_allowed_once(self, sync: str) -> bool:
        """Whether an operator lets the next delivery pass the guards."""
        return self.decisions(sync).allowed > 0

    def syncs(self) -> list[str]:
        """Names of all syncs that ever sent something."""
        folder = self.root / "ledger"
        names = os.listdir(folder) if folder.is_dir() else []
        return sorted(name for name in names if not name.startswith(("_", ".")) and self.next_no(name) > 1)

    def held(self, sync: str, place: Place, each_row: bool = False) -> int:
        """How many entries the place holds, as far as it accepted them. each_row: as of a sync that appends."""
        apart = "row_key" if each_row else f"identifiers_sent, {plan_sql.alone('identifiers_sent', 'row_key')}"
        self.prepare()
        with self.reading(), duckdb.connect(":memory:") as connection:
            row = connection.execute(
                f"""
                select count(*) filter (operation <> 'remove') from (
                    select arg_max(operation, ledger_no) as operation
                    from {self.relation(sync, place)}
                    where status = 'accepted' and not is_let_go and destination = ? and address = ?
                    group by {apart}
                )
                """,
                [place.destination, place.address],
            ).fetchone()
        return int(row[0]) if row else 0

    def last_place(self, sync: str, destination: str) -> Place:
        """Where that destination was when the sync last sent something to it; nowhere, if it never did."""
        self.prepare()
        with self.reading(), duckdb.connect(":memory:") as connection:
            row = connection.execute(
                f"select arg_max(address, ledger_no) from {self.relation(sync)} where destination = ? and status <> 'earlier'",
                [destination],
            ).fetchone()
        return Place(destination, row[0]) if row and row[0] is not None else NOWHERE

    def append(self, sync: str, run_id: str, entries: list[Entry], place: Place) -> None:
        """Writes down a batch's outcomes at that place, all or none."""
        if not entries:
            return
        first = self.next_no(sync)
        numbers = range(first, first + len(entries))
        now = datetime.now(UTC).replace(tzinfo=None)
        rows: list[dict[str, Any]] = [
            {
                "run_id": run_id,
                "sync": sync,
                "row_key": entry.row.row_key,
                "profile_id": entry.row.profile_id,
                "operation": entry.row.operation,
                "status": entry.status,
                "attempt": entry.row.attempt,
                "code": entry.code,
                "message": entry.message,
                "payload_hash": entry.row.payload_hash,
                "identifiers_sent": entry.row.identifiers,
                "consent_message_id": entry.row.consent_message_id,
                "idempotency_key": entry.row.idempotency_key,
                "attempted_at": now,
                "ledger_no": number,
                "batch_no": first,
                "destination": place.destination,
                "address": place.address,
            }
            for number, entry in zip(numbers, entries, strict=True)
        ]
        with whole_file(self.root / "ledger" / sync / f"{first:012d}-{numbers[-1]:012d}.parquet") as handle:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), handle, compression="zstd")

    def next_no(self, sync: str) -> int:
        """The number that the next ledger row gets."""
        through = compacted.read_list(self.folder(sync)).through
        return max([through, *(last for last, _ in self.tail(sync, through))]) + 1

    def reading(self) -> AbstractContextManager[None]:
        """Whoever reads files of the ledger holds this: they stay where they are meanwhile."""
        return compacted.reading(self.root)

    def files(self, sync: str, after: int = 0) -> list[Path]:
        """The files whose rows count and that hold numbers above `after`, in order. Held under `reading`."""
        folder = self.folder(sync)
        # The tail first, the list after it: what a compaction takes out of one in between, is in the other.
        tail = self.tail(sync, compacted.read_list(folder).through)
        listed = compacted.read_list(folder)
        compact = [folder / compacted.FOLDER / file.name for file in listed.files if file.last > after]
        return [*compact, *(path for last, path in tail if last > max(listed.through, after))]

    def folder(self, sync: str) -> Path:
        """Where the files of the sync's ledger are."""
        return self.root / "ledger" / sync

    def tail(self, sync: str, beyond: int = 0) -> list[tuple[int, Path]]:
        """(last number, path) of the files as they were appended, by number; of those that begin beyond a number."""
        folder, begin = self.folder(sync), f"{beyond:012d}"
        names = os.listdir(folder) if folder.is_dir() else []
        names = [name for name in names if name[:12] > begin] if beyond else names  # very many may have been replaced
        found = [
            (int(stem[2]), name) for name in names if name.endswith(".parquet") and (stem := _STEM.fullmatch(name[:-8]))
        ]
        return [(last, folder / name) for last, name in sorted(found)]

    def _digested(self, sync: str) -> str:
        """A query: the digest of what is compacted, where there is one, and the rows since; a column more, earlier_keys."""
        listed = compacted.read_list(self.folder(sync))
        digest = compacted.digest_path(self.folder(sync), listed.generation)
        if not digest.exists():
            return undigested(self.files(sync), self.root)
        rows = undigested(self.files(sync, after=listed.through), self.root)
        return f"select * from read_parquet({literals([digest])}) union all by name {rows}"


def undigested(files: list[Path], root: Path) -> str:
    """A query: the rows of the files, as of a digest (delivery/compaction.py)."""
    paths = literals([root / "ledger" / "_schema" / "_schema.parquet", *files])
    return f"select *, cast(null as bigint) as earlier_keys from read_parquet([{paths}], union_by_name = true)"


def literals(paths: Iterable[Path]) -> str:
    """Paths as a list of SQL literals for DuckDB, in which no sign is a wildcard."""
    return ", ".join("'" + glob.escape(str(path)).replace("'", "''") + "'" for path in paths)


def _has_schema(path: Path) -> bool:
    return path.exists() and bool(pq.read_schema(path) == SCHEMA)
