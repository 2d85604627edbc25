"""Raw records as they came: append-only Parquet, one schema for every source, one file a batch.

    landing/<source>/<stream>/<batch_seq>-<batch_id>.parquet   the records
    landing/<source>/<stream>/<batch_seq>-<batch_id>.json      the manifest, one line
    landing/<source>/<stream>/compacted/                       many batches in one file, and their manifests, line by line
    landing/.lock, landing/.spool                              who publishes; what is being pulled
    landing/.index.sqlite                                      what the manifests say, quick to find (index.py)

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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration import compacted, disk
from cdp_orchestration.compacted import Compacted
from cdp_orchestration.disk import sync_folder, whole_file
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.landing.batch import SCHEMA, Batch
from cdp_orchestration.landing.index import STEM, Index, KnownFiles, Stream, seq_of
from cdp_orchestration.landing.records import Page
from cdp_orchestration.landing.spool import Spool

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def utc_now() -> datetime:
    """Now, in UTC, without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Landing:
    """The landing folder (`<home>/landing`). Any number of processes may use it at once.

    Two pulls of the *same* stream at once would both start from the same position: whoever schedules pulls keeps
    each stream to one at a time.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.root = Path(folder)
        self._clock = clock
        self.index = Index(self.root)

    def state(self, source: str, stream: str) -> dict[str, Any]:
        """The reading position that the last published batch left; {} when there is none."""
        if not self.folder(source, stream).is_dir():
            return {}
        self.index.refresh((source, stream))
        found = self.index.rows("select state from streams where source = ? and stream = ?", source, stream)
        return dict(json.loads(found[0][0]))

    def files(self, source: str, stream: str) -> Mapping[str, str]:
        """Relative path -> fingerprint of all files landed so far (a later batch's fingerprint wins)."""
        if not self.folder(source, stream).is_dir():
            return {}
        self.index.refresh((source, stream))
        return KnownFiles(self.index, (source, stream))

    def land(self, source: str, stream: str, pages: Iterable[Page], max_records: int = 1_000_000) -> list[Batch]:
        """Pulls `pages` and publishes their records: one batch, or several once `max_records` is reached.

        A batch ends only after a page that is `safe`, so it may grow beyond `max_records`. Without records there
        is no batch. If `pages` raises, what was not yet published is dropped and the error goes on to the caller.
        Raises NeedsAPerson for a bad name, ValueError when the last page is not safe.
        """
        self.folder(source, stream)
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
        folder = self.folder(source, stream)
        if (folder / "_schema.parquet").exists() and (folder / "_schema.json").exists():
            return
        with self._lock():
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / "_schema.json", b"")
            buffer = pa.BufferOutputStream()
            pq.write_table(SCHEMA.empty_table(), buffer)
            _write(folder / "_schema.parquet", buffer.getvalue().to_pybytes())
            for made in (folder, folder.parent, self.root):
                sync_folder(made)

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
            self.index.refresh(stream)
        return (
            int(self.index.rows("select coalesce(max(batch_seq), 0) from batches")[0][0]) if self.root.is_dir() else 0
        )

    def reading(self) -> AbstractContextManager[None]:
        """Whoever reads files of batches holds this: they stay where they are meanwhile."""
        return compacted.reading(self.root)

    def live(self, source: str, stream: str) -> list[Path]:
        """The files whose records count, in order. Held under `reading`."""
        folder = self.folder(source, stream)
        tail = self.tail(folder)
        listed = compacted.read_list(folder)
        return [*listed.paths(folder), *(path for seq, path in tail if seq > listed.through)]

    def folder(self, source: str, stream: str) -> Path:
        """The stream's folder. Raises NeedsAPerson for a name that cannot be one."""
        for what, name in (("source", source), ("stream", stream)):
            if not _NAME.fullmatch(name):
                raise NeedsAPerson(
                    f"the {what} name {name!r} cannot be used: it becomes a folder and part of model names. "
                    f"Use lower-case letters, digits and underscores, beginning with a letter."
                )
        return self.root / source / stream

    def tail(self, folder: Path) -> list[tuple[int, Path]]:
        """(batch_seq, file) of the batches that have, or had, their own file, by batch_seq."""
        names = os.listdir(folder) if folder.is_dir() else []
        stems = sorted(
            (name[:-8] for name in names if name.endswith(".parquet") and STEM.fullmatch(name[:-8])), key=seq_of
        )
        return [(seq_of(stem), folder / f"{stem}.parquet") for stem in stems]

    def _batches(self, stream: Stream) -> Iterator[Batch]:
        self.index.refresh(stream)
        folder = self.folder(*stream)
        rows = self.index.rows(
            "select batch_seq, batch_id, records, errors, landed_at from batches where source = ? and stream = ? "
            "order by batch_seq", *stream)  # fmt: skip
        listed = compacted.read_list(folder)
        for seq, batch_id, records, errors, landed_at in rows:
            yield Batch(*stream, batch_id, seq, records, errors, datetime.fromisoformat(landed_at),
                        _files(folder, listed, seq, batch_id))  # fmt: skip

    def _publish(self, source: str, stream: str, spool: Spool) -> Batch:
        folder = self.folder(source, stream)
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
            _write(path.with_suffix(".json"), line.encode())
            sync_folder(folder)
            os.rename(hidden, path)  # the commit
            sync_folder(folder)
        return Batch(source, stream, batch_id, seq, spool.records, spool.errors, landed_at, (path,))

    def _recover(self) -> None:
        for folder in self._stream_folders():
            if self.index.is_proven((folder.parent.name, folder.name)):
                continue
            names = set(os.listdir(folder))
            for name in names:
                orphan = name.endswith(".json") and STEM.fullmatch(name[:-5]) and f"{name[:-5]}.parquet" not in names
                if name.endswith(".tmp") or orphan:
                    (folder / name).unlink(missing_ok=True)

    def _stream_folders(self) -> Iterator[Path]:
        for source in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if _NAME.fullmatch(source.name) and source.is_dir():
                for stream in sorted(source.iterdir()):
                    if _NAME.fullmatch(stream.name) and stream.is_dir():
                        yield stream

    def _spool(self) -> Spool:
        folder = self.root / ".spool"
        folder.mkdir(parents=True, exist_ok=True)
        return Spool(folder)

    def _lock(self) -> AbstractContextManager[None]:
        """One publisher at a time, over all sources."""
        return disk.held(self.root / ".lock")


def _files(folder: Path, listed: Compacted, seq: int, batch_id: str) -> tuple[Path, ...]:
    if seq <= listed.through:
        return tuple(listed.holding(folder, seq))
    return (folder / f"{seq:010d}-{batch_id}.parquet",)


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


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as handle:
        handle.write(content)
