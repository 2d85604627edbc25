"""Raw records as they came: append-only Parquet, one schema for every source, one file a batch.

    landing/<source>/<stream>/<batch_seq>-<batch_id>.parquet   the records
    landing/<source>/<stream>/<batch_seq>-<batch_id>.json      the manifest, one line
    landing/<source>/<stream>/compacted/                       many batches in one file, and their manifests, line by line
    landing/.lock, landing/.spool                              who publishes; what is being pulled
    landing/.index.sqlite                                      what the manifests say, quick to find (landing_index.py)

The rename of the Parquet file is the one moment at which a batch comes to be. Reading positions live in the manifests
of published batches (the index only repeats them), so that a crash anywhere leaves neither half a batch nor a gap nor a
repeat. Compaction (compacted.py) changes which files batches are in, and nothing else: not their order, numbers, ids,
records or manifests.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cdp_orchestration import compacted, locks
from cdp_orchestration.compacted import MOST_ROWS, Compacted
from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.landing_index import STEM, Index, KnownFiles, Stream, read_manifests, seq_of
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

PART = 50_000  # records in memory at a time
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Batch:
    """A published batch. `landed_at` is UTC without zone; `errors` counts the records with an error.

    files: where its records are, in order. A compacted file holds other batches, too, and a large batch goes on in the next.
    """

    source: str
    stream: str
    batch_id: str
    batch_seq: int
    records: int
    errors: int
    landed_at: datetime
    files: tuple[Path, ...]

    @property
    def path(self) -> Path:
        return self.files[0]

    def parts(self) -> Iterator[pa.Table]:
        """Its records (SCHEMA), in order, some tens of thousands at a time. Held under `Landing.reading`."""
        for path in self.files:
            with pq.ParquetFile(path) as file:
                groups = [
                    n for n in range(file.num_row_groups) if _may_hold(file.metadata.row_group(n), self.batch_seq)
                ]
                for batch in file.iter_batches(PART, row_groups=groups) if groups else ():
                    part = pa.Table.from_batches([batch])
                    yield part.filter(pc.equal(part.column("_batch_seq"), self.batch_seq))


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
        self._index = Index(self._root)

    def state(self, source: str, stream: str) -> dict[str, Any]:
        """The reading position that the last published batch left; {} when there is none."""
        if not self._folder(source, stream).is_dir():
            return {}
        self._index.refresh((source, stream))
        found = self._index.rows("select state from streams where source = ? and stream = ?", source, stream)
        return dict(json.loads(found[0][0]))

    def files(self, source: str, stream: str) -> Mapping[str, str]:
        """Relative path -> fingerprint of all files landed so far (a later batch's fingerprint wins)."""
        if not self._folder(source, stream).is_dir():
            return {}
        self._index.refresh((source, stream))
        return KnownFiles(self._index, (source, stream))

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
            batch
            for name in self.streams()
            if source in (None, name[0]) and stream in (None, name[1])
            for batch in self._batches(name)
        ]
        return sorted(found, key=lambda batch: batch.batch_seq)

    def streams(self) -> list[Stream]:
        """(source, stream) of every folder that a stream ever had here, by name."""
        return [(folder.parent.name, folder.name) for folder in self._stream_folders()]

    def last_seq(self) -> int:
        """The largest batch_seq published so far, over all sources; 0 when there is none."""
        for stream in self.streams():
            self._index.refresh(stream)
        return (
            int(self._index.rows("select coalesce(max(batch_seq), 0) from batches")[0][0]) if self._root.is_dir() else 0
        )

    def reading(self) -> AbstractContextManager[None]:
        """Whoever reads files of batches holds this: they stay where they are meanwhile."""
        return compacted.reading(self._root)

    def live(self, source: str, stream: str) -> list[Path]:
        """The files whose records count, in order. Held under `reading`."""
        folder = self._folder(source, stream)
        tail = self._tail(folder)
        listed = compacted.read_list(folder)
        return [*listed.paths(folder), *(path for seq, path in tail if seq > listed.through)]

    def compact(self, source: str, stream: str, at_least: int = 2, most: int = MOST_ROWS) -> tuple[int, int]:
        """Brings the batches that have files of their own into few, where they are at least so many.

        Returns how many batches, and how many compacted files hold the stream's batches now; (0, …) where nothing was due.
        A crash anywhere leaves things as they were, or done. Raises StopAndTell where a file does not hold what its
        manifest says: then nothing changes.
        """
        folder = self._folder(source, stream)
        with locks.held(self._root / ".compact.lock"):
            tail = self._tail(folder)
            before = compacted.read_list(folder)
            due = [path for seq, path in tail if seq > before.through]
            if len(due) < at_least:
                return 0, len(before.files)
            compacted.drop_unlisted(folder, before)
            manifests = [manifest for path in due for manifest in read_manifests(path)]
            kept = compacted.kept_files(before, sum(manifest["records"] for manifest in manifests), most)
            again = before.paths(folder)[kept:]
            files = compacted.write_files(
                folder, before.generation + 1, _records([*again, *due], manifests), SCHEMA, "_batch_seq", most
            )
            lines = [line for path in [*again, *due] for line in path.with_suffix(".json").read_bytes().splitlines()]
            told = _by_last_file(lines, files)
            for file in files:
                path = folder / compacted.FOLDER / file.name
                _write_durably(path.with_suffix(".json"), b"".join(line + b"\n" for line in told[file.name]))
            _sync_folder(folder / compacted.FOLDER)
            after = compacted.next_list(before, kept, files, seq_of(due[-1].stem))
            compacted.write_list(folder, f"landing/{source}/{stream}", after)  # the commit
            return len(due), len(after.files)

    def small_batches(self, source: str, stream: str) -> int:
        """How many batches of the stream have a file of their own."""
        self._index.refresh((source, stream))
        [(small,)] = self._index.rows(
            "select count(*) from batches join streams using (source, stream) "
            "where source = ? and stream = ? and batch_seq > through", source, stream)  # fmt: skip
        return int(small)

    def has_replaced(self, source: str, stream: str) -> bool:
        """Whether there may be files that compaction replaced."""
        return bool(compacted.read_list(self._folder(source, stream)).earlier)

    def sweep(self, source: str, stream: str, read_by: int | None) -> int:
        """Removes files that compaction replaced and that nobody reads any more; how many. `read_by`: as for `superseded`.

        The caller keeps readers away.
        """
        folder = self._folder(source, stream)
        with locks.held(self._root / ".compact.lock"):
            gone, after = compacted.superseded(folder, self._tail(folder), read_by)
            for path in gone:
                # The manifest last: one without its batch is swept away by whoever recovers, the other way round is an error.
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)
            if after.earlier != compacted.read_list(folder).earlier:
                compacted.write_list(folder, f"landing/{source}/{stream}", after)
        return sum(path.suffix == ".parquet" for path in gone)

    def _batches(self, stream: Stream) -> Iterator[Batch]:
        self._index.refresh(stream)
        folder = self._folder(*stream)
        rows = self._index.rows(
            "select batch_seq, batch_id, records, errors, landed_at from batches where source = ? and stream = ? "
            "order by batch_seq", *stream)  # fmt: skip
        listed = compacted.read_list(folder)
        for seq, batch_id, records, errors, landed_at in rows:
            yield Batch(*stream, batch_id, seq, records, errors, datetime.fromisoformat(landed_at),
                        _files(folder, listed, seq, batch_id))  # fmt: skip

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
        return Batch(source, stream, batch_id, seq, spool.records, spool.errors, landed_at, (path,))

    def _recover(self) -> None:
        for folder in self._stream_folders():
            if self._index.is_proven((folder.parent.name, folder.name)):
                continue
            names = set(os.listdir(folder))
            for name in names:
                orphan = name.endswith(".json") and STEM.fullmatch(name[:-5]) and f"{name[:-5]}.parquet" not in names
                if name.endswith(".tmp") or orphan:
                    (folder / name).unlink(missing_ok=True)

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

    def _tail(self, folder: Path) -> list[tuple[int, Path]]:
        """(batch_seq, file) of the batches that have, or had, a file of their own, by batch_seq."""
        names = os.listdir(folder) if folder.is_dir() else []
        stems = sorted(
            (name[:-8] for name in names if name.endswith(".parquet") and STEM.fullmatch(name[:-8])), key=seq_of
        )
        return [(seq_of(stem), folder / f"{stem}.parquet") for stem in stems]

    def _spool(self) -> Spool:
        folder = self._root / ".spool"
        folder.mkdir(parents=True, exist_ok=True)
        return Spool(folder)

    def _lock(self) -> AbstractContextManager[None]:
        """One publisher at a time, over all sources."""
        return locks.held(self._root / ".lock")


def _files(folder: Path, listed: Compacted, seq: int, batch_id: str) -> tuple[Path, ...]:
    if seq <= listed.through:
        return tuple(listed.holding(folder, seq))
    return (folder / f"{seq:010d}-{batch_id}.parquet",)


def _may_hold(group: Any, seq: int) -> bool:
    """Whether a row group may hold records of that batch, by its statistics."""
    statistics = group.column(SCHEMA.names.index("_batch_seq")).statistics
    return statistics is None or not statistics.has_min_max or statistics.min <= seq <= statistics.max


def _records(paths: list[Path], manifests: list[dict[str, Any]]) -> Iterator[pa.Table]:
    """The records of the files, in order; the last files are those of the manifests, whose counts must be theirs."""
    expected = dict(zip(paths[len(paths) - len(manifests) :], manifests, strict=True))
    for path in paths:
        count = 0
        for part in compacted.read_rows(path, SCHEMA):
            count += part.num_rows
            yield part
        if path in expected and count != expected[path]["records"]:
            raise StopAndTell(
                f"{path} holds {count} records, but its manifest says {expected[path]['records']}. Restore the file from a "
                "backup; nothing was compacted."
            )


def _by_last_file(lines: list[bytes], files: list[compacted.File]) -> dict[str, list[bytes]]:
    """Manifests by the file that holds the last records of their batch."""
    told: dict[str, list[bytes]] = {file.name: [] for file in files}
    place = 0
    for line in lines:
        seq = json.loads(line)["batch_seq"]
        while place + 1 < len(files) and files[place + 1].first <= seq:
            place += 1
        told[files[place].name].append(line)
    return told


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
