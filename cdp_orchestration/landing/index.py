"""What landing's manifests say, kept where it is found at once: reading positions, known files, batches.

    landing/.index.sqlite     may be deleted at any time: it is made again from the manifests

Nothing but manifests makes it, and it is believed only as long as the stream's folder has not changed since it was made:
every publishing, compaction, crash, or restored backup changes the folder's own time. A folder that changed is listed, and
only manifests that are not known yet are opened.
"""

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cdp_orchestration import compacted
from cdp_orchestration.errors import NeedsAPerson

STEM = re.compile(r"(\d{10,})-([0-9a-f]{32})")
_VERSION = 1
# A folder's time tells moments apart only this far: one that is younger may change again and still look the same.
_TELLS_APART_NS = 2_000_000_000
_TABLES = f"""
    create table streams (
        source text, stream text, changed_ns integer, checked_ns integer, leftovers integer, generation integer,
        through integer, state text, primary key (source, stream)
    );
    create table batches (
        source text, stream text, batch_seq integer, batch_id text, records integer, errors integer, landed_at text,
        primary key (source, stream, batch_seq)
    );
    create table files (
        source text, stream text, path text, fingerprint text, primary key (source, stream, path)
    ) without rowid;
    pragma user_version = {_VERSION};
"""
Stream = tuple[str, str]


class KnownFiles(Mapping[str, str]):
    """Relative path -> fingerprint of the files of a stream that landed. Looked up one by one: there may be very many."""

    def __init__(self, index: "Index", stream: Stream) -> None:
        self._index, self._stream = index, stream

    def __getitem__(self, path: str) -> str:
        found = self._index.rows(
            "select fingerprint from files where source = ? and stream = ? and path = ?", *self._stream, path
        )
        if not found:
            raise KeyError(path)
        return str(found[0][0])

    def __iter__(self) -> Iterator[str]:
        sql = "select path from files where source = ? and stream = ? order by path"
        return iter([row[0] for row in self._index.rows(sql, *self._stream)])

    def __len__(self) -> int:
        sql = "select count(*) from files where source = ? and stream = ?"
        return int(self._index.rows(sql, *self._stream)[0][0])


class Index:
    """The index of one landing folder. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._opened() as connection:
            return connection.execute(sql, parameters).fetchall()

    def is_proven(self, stream: Stream) -> bool:
        """Whether nothing has happened to the stream's folder since it was looked at, and no crash had left anything there."""
        with self._opened() as connection:
            return self._is_proven(connection, stream) and not connection.execute(
                "select leftovers from streams where source = ? and stream = ?", stream
            ).fetchone()[0]  # fmt: skip

    def refresh(self, stream: Stream) -> None:
        """Takes in what manifests say that the index does not know yet. Raises NeedsAPerson for one that is broken."""
        with self._opened() as connection:
            if self._is_proven(connection, stream):
                return
            with compacted.reading(self.root):
                connection.execute("begin immediate")
                try:
                    self._take_in(connection, stream)
                    connection.execute("commit")
                except BaseException:
                    connection.execute("rollback")
                    raise

    def _is_proven(self, connection: sqlite3.Connection, stream: Stream) -> bool:
        row = connection.execute(
            "select changed_ns, checked_ns from streams where source = ? and stream = ?", stream
        ).fetchone()
        if row is None or row[0] > row[1] - _TELLS_APART_NS:
            return False
        try:
            return bool(os.stat(self.root.joinpath(*stream)).st_mtime_ns == row[0])
        except FileNotFoundError:
            return False

    def _take_in(self, connection: sqlite3.Connection, stream: Stream) -> None:
        folder = self.root.joinpath(*stream)
        checked = time.time_ns()
        changed = os.stat(folder).st_mtime_ns if folder.is_dir() else 0
        # The tail first, the list after it: what a compaction takes out of one in between, is in the other.
        names = os.listdir(folder) if folder.is_dir() else []
        listed = compacted.read_list(folder)
        stems = {name[:-8] for name in names if name.endswith(".parquet") and STEM.fullmatch(name[:-8])}
        manifests = {name[:-5] for name in names if name.endswith(".json") and STEM.fullmatch(name[:-5])}
        leftovers = len(manifests - stems) + sum(name.endswith(".tmp") for name in names)
        tail = {stem for stem in stems if seq_of(stem) > listed.through}

        before = connection.execute(
            "select generation, state from streams where source = ? and stream = ?", stream
        ).fetchone()
        known = {
            f"{seq:010d}-{batch_id}"
            for seq, batch_id in connection.execute(
                "select batch_seq, batch_id from batches where source = ? and stream = ? and batch_seq > ?",
                (*stream, listed.through),
            )
        }
        state = before[1] if before else "{}"
        new = sorted(tail - known, key=seq_of)
        in_order = not new or not known or seq_of(new[0]) > max(map(seq_of, known))
        if before is None or before[0] != listed.generation or known - tail or not in_order:
            for table in ("batches", "files"):
                connection.execute(f"delete from {table} where source = ? and stream = ?", stream)
            state, new = "{}", sorted(tail, key=seq_of)
            for path in listed.paths(folder):
                for manifest in read_manifests(path):
                    state = self._add(connection, stream, manifest)
        for stem in new:
            [manifest] = read_manifests(folder / f"{stem}.parquet")
            state = self._add(connection, stream, manifest)
        connection.execute(
            "insert or replace into streams values (?, ?, ?, ?, ?, ?, ?, ?)",
            (*stream, changed, checked, leftovers, listed.generation, listed.through, state),
        )

    def _add(self, connection: sqlite3.Connection, stream: Stream, manifest: dict[str, Any]) -> str:
        connection.execute(
            "insert into batches values (?, ?, ?, ?, ?, ?, ?)",
            (*stream, *(manifest[name] for name in ("batch_seq", "batch_id", "records", "errors", "landed_at"))),
        )
        connection.executemany(
            "insert or replace into files values (?, ?, ?, ?)",
            [(*stream, path, fingerprint) for path, fingerprint in manifest["files"].items()],
        )
        return json.dumps(manifest["state"])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / ".index.sqlite"
        try:
            connection = self._connected(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            path.unlink(missing_ok=True)  # no index at all, or half of one: it is made again
            connection = self._connected(path)
        with closing(connection):
            yield connection

    def _connected(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        try:
            if connection.execute("pragma user_version").fetchone()[0] != _VERSION:
                connection.execute("begin immediate")
                if connection.execute("pragma user_version").fetchone()[0] != _VERSION:
                    for table in ("streams", "batches", "files"):
                        connection.execute(f"drop table if exists {table}")
                    for statement in _TABLES.split(";"):
                        connection.execute(statement)
                connection.execute("commit")
        except BaseException:
            connection.close()
            raise
        return connection


def seq_of(stem: str) -> int:
    return int(stem.split("-")[0])


def read_manifests(parquet: Path) -> Iterator[dict[str, Any]]:
    """The manifests of the batches of a file, by batch_seq; of a batch that goes on into further files, in the last one."""
    path = parquet.with_suffix(".json")
    try:
        with open(path, "rb") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise NeedsAPerson(
            f"{path}: the manifest of a published batch cannot be read ({error}). Restore it from a backup: "
            f"it says what was read already, and without it the source would be read twice."
        ) from error
