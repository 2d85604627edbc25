"""Where records wait between being pulled and being published: a file without a name, in bounded memory."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from cdp_orchestration.landing.records import Page, Record

SPOOLED = pa.schema([("_file", pa.string()), ("_payload", pa.string()), ("_error", pa.string())])

# One flush becomes one row group of the batch: large enough to scan fast, small enough to hold.
_FLUSH_RECORDS = 65_536
_FLUSH_CHARS = 32_000_000


class Spool:
    """Collects the pages of one batch.

    The file has no name (O_TMPFILE), so a process that dies leaves nothing behind, and none can meet another's.
    """

    def __init__(self, folder: Path) -> None:
        self.records = 0
        self.errors = 0
        self.state: dict[str, Any] = {}
        self.files: dict[str, str] = {}
        self.safe = True
        self._pending: list[Record] = []
        self._pending_chars = 0
        # One digest a column, so that it does not depend on how the records were cut into pages.
        self._digests = [hashlib.sha256() for _ in SPOOLED]
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the spool
        self._writer = pa.ipc.new_stream(self._file, SPOOLED, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def add(self, page: Page) -> None:
        """Takes over a page. Raises ValueError for a record with neither payload nor error."""
        self.state = page.state
        self.files.update(page.files)
        self.safe = page.safe
        for start in range(0, len(page.records), _FLUSH_RECORDS):
            self._add(page.records[start : start + _FLUSH_RECORDS])

    def digest(self) -> str:
        """Hex digest of the records so far: of their payloads, errors and files, in order."""
        return "".join(digest.hexdigest() for digest in self._digests)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records (schema SPOOLED), in order. Nothing can be added afterwards."""
        self._flush()
        self._writer.close()
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as reader:
            yield from reader

    def close(self) -> None:
        """Frees the file."""
        self._file.close()

    def _add(self, records: list[Record]) -> None:
        try:
            chars = self._hash(records)
        except UnicodeEncodeError:
            # Half a character cannot be written as UTF-8. The record stays, marked; it must not hold up the rest.
            records = [_encodable(record) for record in records]
            chars = self._hash(records)
        self.records += len(records)
        self._pending += records
        self._pending_chars += chars
        if len(self._pending) >= _FLUSH_RECORDS or self._pending_chars >= _FLUSH_CHARS:
            self._flush()

    def _hash(self, records: list[Record]) -> int:
        for record in records:
            if record.payload is None and record.error is None:
                raise ValueError("a record needs a payload, or an error that says why it has none")
        columns = (
            [record.file for record in records],
            [record.payload for record in records],
            [record.error for record in records],
        )
        texts = ["".join("~" if v is None else f"{len(v)}:{v}" for v in column) for column in columns]
        encoded = [text.encode() for text in texts]  # all of them before the first update: it may raise
        for digest, blob in zip(self._digests, encoded, strict=True):
            digest.update(blob)
        self.errors += len(records) - columns[2].count(None)
        return sum(map(len, texts))

    def _flush(self) -> None:
        if not self._pending:
            return
        columns: list[list[str | None]] = [
            [record.file for record in self._pending],
            [record.payload for record in self._pending],
            [record.error for record in self._pending],
        ]
        # A table, not a record batch: beyond 2 GB of text Arrow answers with several chunks.
        self._writer.write(pa.table([pa.array(c, pa.string()) for c in columns], schema=SPOOLED))
        self._pending, self._pending_chars = [], 0


def _encodable(record: Record) -> Record:
    texts = (record.payload, record.error, record.file)
    clean = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    error = clean[1]
    if clean[0] != record.payload and error is None:
        error = "not valid Unicode: the text holds half a character (a lone surrogate)"
    return Record(clean[0], error, clean[2])
