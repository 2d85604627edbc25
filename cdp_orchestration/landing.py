"""Raw records as they came: append-only Parquet, one schema for every source, one file a batch.

    landing/<source>/<stream>/<batch_seq>-<batch_id>.parquet   the records
    landing/<source>/<stream>/<batch_seq>-<batch_id>.json      the manifest, one line
    landing/.lock, landing/.spool                              who publishes; what is being pulled

The rename of the Parquet file is the one moment at which a batch comes to be. Reading positions live in the manifests
of published batches and nowhere else, so that a crash anywhere leaves neither half a batch nor a gap nor a repeat.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.records import Page, Record
from cdp_orchestration.spool import Spool

__all__ = ["SCHEMA", "Batch", "Landing", "Page", "Record"]

SCHEMA = pa.schema(
    [
        ("_source", pa.string()),
        ("_stream", pa.string()),
        ("_batch_id", pa.string()),
        ("_batch_seq", pa.int64()),
        ("_record_no", pa.int64()),
        ("_file", pa.string()),
        ("_landed_at", pa.timestamp("us")),
        ("_payload", pa.string()),
        ("_error", pa.string()),
    ]
)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_STEM = re.compile(r"(\d{10,})-([0-9a-f]{32})")


@dataclass(frozen=True)
class Batch:
    """A published batch. `landed_at` is UTC without zone; `errors` counts the records with an error."""

    source: str
    stream: str
    batch_id: str
    batch_seq: int
    records: int
    errors: int
    landed_at: datetime
    path: Path


def utc_now() -> datetime:
    """Now, in UTC, without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Landing:
    """The landing folder (`<home>/landing`). Any number of processes may use it at once.

    Two pulls of the *same* stream at once would both start from the same position: whoever schedules pulls keeps
    each stream to one at a time.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self._root = Path(folder)
        self._clock = clock

    def state(self, source: str, stream: str) -> dict[str, Any]:
        """The reading position that the last published batch left; {} when there is none."""
        paths = self._published(self._folder(source, stream))
        return _read_manifest(paths[-1])["state"] if paths else {}

    def files(self, source: str, stream: str) -> dict[str, str]:
        """Relative path -> fingerprint of all files landed so far (a later batch's fingerprint wins)."""
        known: dict[str, str] = {}
        for path in self._published(self._folder(source, stream)):
            known.update(_read_manifest(path)["files"])
        return known

    def land(self, source: str, stream: str, pages: Iterable[Page], max_records: int = 1_000_000) -> list[Batch]:
        """Pulls `pages` and publishes their records: one batch, or several once `max_records` is reached.

        A batch ends only after a page that is `safe`, so it may grow beyond `max_records`. Without records there
        is no batch. If `pages` raises, what was not yet published is dropped and the error goes on to the caller.
        Raises StopAndTell for a bad name, ValueError when the last page is not safe.
        """
        self._folder(source, stream)
        self.prepare(source, stream)
        batches: list[Batch] = []
        spool = self._spool()
        try:
            for page in pages:
                spool.add(page)
                if page.safe and spool.records >= max_records:
                    batches.append(self._publish(source, stream, spool))
                    spool.close()
                    spool = self._spool()
            if not spool.safe:
                raise ValueError(f"{source}.{stream}: the pull ended in the middle of a file or snapshot")
            if spool.records:
                batches.append(self._publish(source, stream, spool))
        finally:
            spool.close()
        return batches

    def prepare(self, source: str, stream: str) -> None:
        """Makes the stream's folder, with an empty file of each kind so that a glob over it always matches."""
        folder = self._folder(source, stream)
        if (folder / "_schema.parquet").exists() and (folder / "_schema.json").exists():
            return
        with self._lock():
            folder.mkdir(parents=True, exist_ok=True)
            _write_durably(folder / "_schema.json", b"")
            buffer = pa.BufferOutputStream()
            pq.write_table(SCHEMA.empty_table(), buffer)
            _write_durably(folder / "_schema.parquet", buffer.getvalue().to_pybytes())
            for made in (folder, folder.parent, self._root):
                _sync_folder(made)

    def recover(self) -> None:
        """Deletes what a crash left: temporary files, and manifests whose batch was never published."""
        with self._lock():
            self._recover()

    def batches(self, source: str | None = None, stream: str | None = None) -> list[Batch]:
        """Published batches by batch_seq, of all sources or of one, of all its streams or of one."""
        found = [
            _batch(path)
            for folder in self._stream_folders()
            if source in (None, folder.parent.name) and stream in (None, folder.name)
            for path in self._published(folder)
        ]
        return sorted(found, key=lambda batch: batch.batch_seq)

    def streams(self) -> list[tuple[str, str]]:
        """(source, stream) of every folder that a stream ever had here, by name."""
        return [(folder.parent.name, folder.name) for folder in self._stream_folders()]

    def last_seq(self) -> int:
        """The largest batch_seq published so far, over all sources; 0 when there is none."""
        return max((_seq(path) for f in self._stream_folders() for path in self._published(f)), default=0)

    def _publish(self, source: str, stream: str, spool: Spool) -> Batch:
        folder = self._folder(source, stream)
        with self._lock():
            self._recover()
            seq = self.last_seq() + 1
            seed = f"{source}|{stream}|{seq}|{spool.digest()}"
            batch_id = hashlib.sha256(seed.encode()).hexdigest()[:32]
            landed_at = self._clock()
            manifest = {
                "batch_id": batch_id,
                "batch_seq": seq,
                "source": source,
                "stream": stream,
                "records": spool.records,
                "errors": spool.errors,
                "landed_at": landed_at.isoformat(timespec="microseconds"),
                "files": spool.files,
                "state": spool.state,
            }
            path = folder / f"{seq:010d}-{batch_id}.parquet"
            hidden = path.with_name(f".{path.name}.tmp")
            constants = {"_source": source, "_stream": stream, "_batch_id": batch_id}
            _write_parquet(hidden, spool, constants | {"_batch_seq": seq, "_landed_at": landed_at})
            # The manifest first: a batch without one could never be, a manifest without a batch is swept away.
            line = json.dumps(manifest, allow_nan=False, separators=(",", ":")) + "\n"
            _write_durably(path.with_suffix(".json"), line.encode())
            _sync_folder(folder)
            os.rename(hidden, path)  # the commit
            _sync_folder(folder)
        return _batch(path)

    def _recover(self) -> None:
        for folder in self._stream_folders():
            for entry in sorted(folder.iterdir()):
                orphan = (
                    entry.suffix == ".json"
                    and _STEM.fullmatch(entry.stem)
                    and not entry.with_suffix(".parquet").exists()
                )
                if entry.suffix == ".tmp" or orphan:
                    entry.unlink(missing_ok=True)

    def _folder(self, source: str, stream: str) -> Path:
        for what, name in (("source", source), ("stream", stream)):
            if not _NAME.fullmatch(name):
                raise StopAndTell(
                    f"the {what} name {name!r} cannot be used: it becomes a folder and part of model names. "
                    f"Use lower-case letters, digits and underscores, beginning with a letter."
                )
        return self._root / source / stream

    def _stream_folders(self) -> Iterator[Path]:
        for source in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            if _NAME.fullmatch(source.name) and source.is_dir():
                for stream in sorted(source.iterdir()):
                    if _NAME.fullmatch(stream.name) and stream.is_dir():
                        yield stream

    def _published(self, folder: Path) -> list[Path]:
        """The Parquet files of a stream's batches, by batch_seq."""
        if not folder.is_dir():
            return []
        found = [folder / n for n in os.listdir(folder) if n.endswith(".parquet") and _STEM.fullmatch(n[:-8])]
        return sorted(found, key=_seq)

    def _spool(self) -> Spool:
        folder = self._root / ".spool"
        folder.mkdir(parents=True, exist_ok=True)
        return Spool(folder)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One publisher at a time, over all sources. The kernel frees it when its holder dies."""
        self._root.mkdir(parents=True, exist_ok=True)
        with open(self._root / ".lock", "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _write_parquet(path: Path, spool: Spool, constants: dict[str, Any]) -> None:
    first = 0
    with open(path, "wb") as handle:
        with pq.ParquetWriter(handle, SCHEMA, compression="zstd") as writer:
            for part in spool.batches():
                count = part.num_rows
                columns = {
                    name: pa.repeat(pa.scalar(value, SCHEMA.field(name).type), count)
                    for name, value in constants.items()
                }
                columns["_record_no"] = pa.array(range(first, first + count), pa.int64())
                columns |= {name: part.column(name) for name in part.schema.names}
                writer.write_batch(pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA))
                first += count
        handle.flush()
        os.fsync(handle.fileno())


def _write_durably(path: Path, content: bytes) -> None:
    """Writes a file so that its name never shows half of it, even after a power cut."""
    hidden = path.with_name(f".{path.name}.tmp")
    with open(hidden, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(hidden, path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seq(path: Path) -> int:
    return int(path.stem.split("-")[0])


def _read_manifest(parquet: Path) -> dict[str, Any]:
    path = parquet.with_suffix(".json")
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StopAndTell(
            f"{path}: the manifest of a published batch cannot be read ({error}). Restore it from a backup: "
            f"it says what was read already, and without it the source would be read twice."
        ) from error


def _batch(path: Path) -> Batch:
    manifest = _read_manifest(path)
    return Batch(
        source=manifest["source"],
        stream=manifest["stream"],
        batch_id=manifest["batch_id"],
        batch_seq=manifest["batch_seq"],
        records=manifest["records"],
        errors=manifest["errors"],
        landed_at=datetime.fromisoformat(manifest["landed_at"]),
        path=path,
    )
