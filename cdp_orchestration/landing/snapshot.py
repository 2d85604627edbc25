"""What had landed up to a batch, as a landing folder of its own: second names for the same files, so nothing is copied.

Only of a compacted file that also holds later batches, what belongs to the earlier ones is written anew. Compaction may go on
beside it: a file with two names stays whole when the first one goes.
"""

import json
import os
import shutil
from pathlib import Path

import pyarrow.compute as pc

from cdp_orchestration import compacted
from cdp_orchestration.compacted import Compacted, File
from cdp_orchestration.landing.batch import SCHEMA
from cdp_orchestration.landing.batches import Landing
from cdp_orchestration.landing.index import Stream


def snapshot(landing: Landing, folder: Path, through: int) -> Landing:
    """The batches of `landing` up to batch_seq `through`, under `folder`. Nothing may be there yet."""
    for stream in landing.streams():
        with landing.reading():
            _snapshot_of(landing, stream, folder.joinpath(*stream), through)
    return Landing(folder)


def _snapshot_of(landing: Landing, stream: Stream, into: Path, through: int) -> None:
    folder = landing.folder(*stream)
    into.mkdir(parents=True)
    tail = landing.tail(folder)  # before the list: what a compaction takes out of one in between, is in the other
    listed = compacted.read_list(folder)
    for seq, path in tail:
        if listed.through < seq <= through:
            _named_twice(path, into)
            _named_twice(path.with_suffix(".json"), into)
    files = [_compacted_file(folder, listed, file, into, through) for file in listed.files if file.first <= through]
    if files:
        list_name = f"landing/{stream[0]}/{stream[1]}"
        compacted.write_list(into, list_name, Compacted(1, min(listed.through, through), tuple(files)))


def _compacted_file(folder: Path, listed: Compacted, file: File, into: Path, through: int) -> File:
    path, place = folder / compacted.FOLDER / file.name, into / compacted.FOLDER
    place.mkdir(exist_ok=True)
    if file.last <= through:
        _named_twice(path, place)
        _named_twice(path.with_suffix(".json"), place)
        return file
    parts = (
        part.filter(pc.less_equal(part.column("_batch_seq"), through)) for part in compacted.read_rows(path, SCHEMA)
    )
    # Of a generation of its own, so that its name is no other file's.
    [written] = compacted.write_files(
        into, listed.generation + 1, (part for part in parts if part.num_rows), SCHEMA, "_batch_seq", file.rows
    )
    lines = path.with_suffix(".json").read_bytes().splitlines(keepends=True)
    earlier = [line for line in lines if json.loads(line)["batch_seq"] <= through]
    (place / written.name).with_suffix(".json").write_bytes(b"".join(earlier))
    return written


def _named_twice(file: Path, folder: Path) -> None:
    """A copy where the disk knows no second names, or where the folder is on another one."""
    try:
        os.link(file, folder / file.name)
    except OSError:
        shutil.copyfile(file, folder / file.name)
