"""Many small files in few: which files of a folder count, and how that changes in one moment.

    <folder>/<number>-….parquet                    as they were written, in the order of their numbers: the tail
    <folder>/compacted/<first>-<last>-….parquet    what many of them held, in the same order
    <folder>/_compacted.json                       the list: the compacted files that count, and through which number

What counts is the files on the list, and the tail beyond `through`. The rename of the list is the one moment at which a
compaction comes to be: before it, nothing reads the new files, after it, nothing begins to read the old ones. Who began by an
earlier list (its `generation`) goes on by it, so its files stay until nobody is left who does.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration import disk
from cdp_orchestration.disk import sync_folder, whole_file
from cdp_orchestration.errors import NeedsAPerson

MOST_ROWS = 1_000_000  # in a compacted file: erasing a few records rewrites no more than that
FOLDER = "compacted"
LIST = "_compacted.json"
# One row group: large enough to scan fast, small enough to hold.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 32_000_000
# A compacted file is rewritten while it holds at most so many times what is new: each row is rewritten a few times,
# however often little is new, and the number of files grows with the logarithm of that.
_TAKEN_IN = 2


@dataclass(frozen=True)
class File:
    """A compacted file: its name, the numbers of the first and of the last row in it, and how many rows it holds."""

    name: str
    first: int
    last: int
    rows: int


@dataclass(frozen=True)
class Compacted:
    """A folder's list. `earlier`: {generation: (through, names)} of lists that somebody may still read by."""

    generation: int = 0
    through: int = 0
    files: tuple[File, ...] = ()
    earlier: tuple[tuple[int, int, tuple[str, ...]], ...] = ()

    def paths(self, folder: Path) -> list[Path]:
        return [folder / FOLDER / file.name for file in self.files]

    def holding(self, folder: Path, number: int) -> list[Path]:
        """The files that hold rows of that number, in order."""
        return [folder / FOLDER / file.name for file in self.files if file.first <= number <= file.last]

    def known(self) -> dict[int, tuple[int, tuple[str, ...]]]:
        """{generation: (through, names)} of this list and of the earlier ones."""
        lists = {generation: (through, names) for generation, through, names in self.earlier}
        return lists | {self.generation: (self.through, tuple(file.name for file in self.files))}


def read_list(folder: Path) -> Compacted:
    """The folder's list as it is now; an empty one where nothing was compacted. Raises NeedsAPerson where it is broken."""
    path = folder / LIST
    try:
        found = json.loads(path.read_bytes())
        return Compacted(
            found["generation"],
            found["through"],
            tuple(File(**file) for file in found["files"]),
            tuple((one["generation"], one["through"], tuple(one["files"])) for one in found["earlier"]),
        )
    except FileNotFoundError:
        return Compacted()
    except (ValueError, KeyError, TypeError) as error:
        raise NeedsAPerson(
            f"{path} cannot be read ({error}); it says which files of the folder count. Restore it from a backup, together "
            f"with {folder / FOLDER}."
        ) from error


def write_list(folder: Path, name: str, compacted: Compacted) -> None:
    """Makes the list what counts, in one moment. `name`: the folder, relative to the home, as macros in SQL look it up."""
    line: dict[str, Any] = {
        "folder": name,
        "generation": compacted.generation,
        "through": compacted.through,
        "files": [vars(file) for file in compacted.files],
        "earlier": [{"generation": g, "through": through, "files": names} for g, through, names in compacted.earlier],
    }
    with whole_file(folder / LIST) as handle:
        handle.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def next_list(before: Compacted, kept: int, added: list[File], through: int) -> Compacted:
    """The list after a compaction that keeps the first `kept` files and replaces the rest by those added."""
    return Compacted(
        before.generation + 1,
        through,
        (*before.files[:kept], *added),
        tuple((generation, *what) for generation, what in before.known().items()),
    )


def kept_files(before: Compacted, new_rows: int, most: int = MOST_ROWS) -> int:
    """How many of the compacted files stay as they are, when `new_rows` come: the others are written again with them."""
    kept = len(before.files)
    while kept and before.files[kept - 1].rows < most and before.files[kept - 1].rows <= _TAKEN_IN * new_rows:
        kept -= 1
        new_rows += before.files[kept].rows
    return kept


def write_files(
    folder: Path, generation: int, parts: Iterable[pa.Table], schema: pa.Schema, number: str, most: int = MOST_ROWS
) -> list[File]:
    """Writes `parts`, in their order, to compacted files of at most `most` rows each; nothing reads them yet.

    number: the column that numbers the rows. Returns the files, durable on disk.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    files: list[File] = []
    writing: _Writing | None = None
    try:
        for group in _groups(parts, most):
            left = group
            while left.num_rows:
                writing = writing or _Writing(folder / FOLDER, f"{generation}-{len(files)}", schema)
                piece = left.slice(0, most - writing.rows)
                writing.add(piece, number)
                left = left.slice(piece.num_rows)
                if writing.rows == most:
                    files.append(writing.finish())
                    writing = None
        if writing:
            files.append(writing.finish())
    finally:
        if writing:
            writing.handle.close()
    sync_folder(folder / FOLDER)
    return files


class _Writing:
    """One compacted file while it is being written."""

    def __init__(self, folder: Path, suffix: str, schema: pa.Schema) -> None:
        self.folder, self.suffix = folder, suffix
        self.hidden = folder / f".{suffix}.tmp"
        self.handle = open(self.hidden, "wb")  # noqa: SIM115 - closed by finish
        self.writer = pq.ParquetWriter(self.handle, schema, compression="zstd")
        self.first = self.last = self.rows = 0

    def add(self, piece: pa.Table, number: str) -> None:
        numbers = piece.column(number)
        self.first = self.first if self.rows else numbers[0].as_py()
        self.last = numbers[-1].as_py()
        self.rows += piece.num_rows
        self.writer.write_table(piece, row_group_size=piece.num_rows)

    def finish(self) -> File:
        self.writer.close()
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()
        name = f"{self.first:012d}-{self.last:012d}-{self.suffix}.parquet"
        os.replace(self.hidden, self.folder / name)
        return File(name, self.first, self.last, self.rows)


def _groups(parts: Iterable[pa.Table], most: int) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    rows = size = 0
    for part in parts:
        for start in range(0, part.num_rows, min(_GROUP_ROWS, most)):
            piece = part.slice(start, min(_GROUP_ROWS, most))
            waiting.append(piece)
            rows, size = rows + piece.num_rows, size + piece.nbytes
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def read_rows(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """A file in parts, with the columns of the schema (an older file may lack some, which are null then).

    Raises NeedsAPerson where the file has a column that the schema lacks: it would be lost.
    """
    with pq.ParquetFile(path) as file:
        foreign = [name for name in file.schema_arrow.names if name not in schema.names]
        if foreign:
            raise NeedsAPerson(
                f"{path} has the column '{foreign[0]}', which this version does not know. It was not compacted; a later "
                "version wrote it, and should compact it."
            )
        for batch in file.iter_batches(_GROUP_ROWS):
            part = pa.Table.from_batches([batch])
            columns = [
                part.column(field.name).cast(field.type) if field.name in part.column_names
                else pa.nulls(part.num_rows, field.type) for field in schema
            ]  # fmt: skip
            yield pa.Table.from_arrays(columns, schema=schema)


def digest_path(folder: Path, generation: int) -> Path:
    """Where a digest of all that is compacted in that generation may be; it can be made again from the files."""
    return folder / FOLDER / f"digest-{generation}.parquet"


def drop_unlisted(folder: Path, compacted: Compacted) -> None:
    """Removes what a compaction left that died before it came to be. The caller is the only one who compacts here."""
    here = folder / FOLDER
    listed = {name for _, names in compacted.known().values() for name in names}
    listed |= {digest_path(folder, generation).name for generation in compacted.known()}
    for name in os.listdir(here) if here.is_dir() else ():
        if name.removesuffix(".json").removesuffix(".parquet") + ".parquet" not in listed:
            (here / name).unlink(missing_ok=True)


def superseded(folder: Path, tail: Iterable[tuple[int, Path]], read_by: int | None) -> tuple[list[Path], Compacted]:
    """Files that nobody reads any more, and the list as it may be once they are gone.

    tail: (last number, path) of the files as they were written. read_by: the oldest generation that somebody may read
    by; None where nobody holds a list. Of a generation that is not known any more, nothing is superseded.
    """
    now = read_list(folder)
    lists = now.known()
    oldest = now.generation if read_by is None else read_by
    if oldest not in lists:
        return [], now
    through = lists[oldest][0]
    needed = {name for generation, (_, names) in lists.items() if generation >= oldest for name in names}
    former = {name for generation, (_, names) in lists.items() if generation < oldest for name in names} - needed
    gone = [path for number, path in tail if number <= through]
    gone += [folder / FOLDER / name for name in sorted(former)]
    gone += [path for g in lists if g < oldest and (path := digest_path(folder, g)).exists()]
    later = tuple((g, *what) for g, what in lists.items() if oldest <= g < now.generation)
    return gone, Compacted(now.generation, now.through, now.files, later)


def reading(root: Path) -> AbstractContextManager[None]:
    """Whoever reads files under `root` by their paths holds this, among others: nothing is swept meanwhile."""
    return disk.held(root / ".reading", shared=True)


def nobody_reads(root: Path) -> AbstractContextManager[bool]:
    """Whether nobody is reading; if so, readers wait until the block ends."""
    return disk.if_free(root / ".reading")
