"""Compaction of landing: the batches of a stream, each in its own file, brought into few (compacted.py).

It changes which files batches are in, and nothing else: not their order, numbers, ids, records or manifests.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from cdp_orchestration import compacted, disk
from cdp_orchestration.compacted import MOST_ROWS
from cdp_orchestration.disk import sync_folder, whole_file
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.landing.batch import SCHEMA
from cdp_orchestration.landing.batches import Landing
from cdp_orchestration.landing.index import read_manifests, seq_of


def compact(landing: Landing, source: str, stream: str, at_least: int = 2, most: int = MOST_ROWS) -> tuple[int, int]:
    """Brings the batches that are each in their own file into few files, where they are at least `at_least`.

    Returns how many batches, and how many compacted files hold the stream's batches now; (0, …) where nothing was due.
    A crash anywhere leaves things as they were, or done. Raises NeedsAPerson where a file does not hold what its
    manifest says: then nothing changes.
    """
    folder = landing.folder(source, stream)
    with disk.held(landing.root / ".compact.lock"):
        tail = landing.tail(folder)
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
        manifests_of = _by_last_file(lines, files)
        for file in files:
            path = folder / compacted.FOLDER / file.name
            with whole_file(path.with_suffix(".json")) as handle:
                handle.writelines(line + b"\n" for line in manifests_of[file.name])
        sync_folder(folder / compacted.FOLDER)
        after = compacted.next_list(before, kept, files, seq_of(due[-1].stem))
        compacted.write_list(folder, f"landing/{source}/{stream}", after)  # the commit
        return len(due), len(after.files)


def small_batches(landing: Landing, source: str, stream: str) -> int:
    """How many batches of the stream are in their own file."""
    landing.index.refresh((source, stream))
    [(small,)] = landing.index.rows(
        "select count(*) from batches join streams using (source, stream) "
        "where source = ? and stream = ? and batch_seq > through", source, stream)  # fmt: skip
    return int(small)


def has_replaced(landing: Landing, source: str, stream: str) -> bool:
    """Whether there may be files that compaction replaced."""
    return bool(compacted.read_list(landing.folder(source, stream)).earlier)


def sweep(landing: Landing, source: str, stream: str, read_by: int | None) -> int:
    """Removes files that compaction replaced and that nobody reads any more; how many. `read_by`: as for `superseded`.

    The caller keeps readers away.
    """
    folder = landing.folder(source, stream)
    with disk.held(landing.root / ".compact.lock"):
        gone, after = compacted.superseded(folder, landing.tail(folder), read_by)
        for path in gone:
            # The manifest last: one without its batch is swept away by whoever recovers, the other way round is an error.
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
        if after.earlier != compacted.read_list(folder).earlier:
            compacted.write_list(folder, f"landing/{source}/{stream}", after)
    return sum(path.suffix == ".parquet" for path in gone)


def _records(paths: list[Path], manifests: list[dict[str, Any]]) -> Iterator[pa.Table]:
    """The records of the files, in order; the last files are those of the manifests, whose counts must be theirs."""
    expected = dict(zip(paths[len(paths) - len(manifests) :], manifests, strict=True))
    for path in paths:
        count = 0
        for part in compacted.read_rows(path, SCHEMA):
            count += part.num_rows
            yield part
        if path in expected and count != expected[path]["records"]:
            raise NeedsAPerson(
                f"{path} holds {count} records, but its manifest says {expected[path]['records']}. Restore the file from a "
                "backup; nothing was compacted."
            )


def _by_last_file(lines: list[bytes], files: list[compacted.File]) -> dict[str, list[bytes]]:
    """Manifests by the file that holds the last records of their batch."""
    found: dict[str, list[bytes]] = {file.name: [] for file in files}
    place = 0
    for line in lines:
        seq = json.loads(line)["batch_seq"]
        while place + 1 < len(files) and files[place + 1].first <= seq:
            place += 1
        found[files[place].name].append(line)
    return found
