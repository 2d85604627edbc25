"""Kind `files`: CSV, JSON Lines and Parquet files that appear in a folder.

A new or changed file is read once, whole. What is read is a private copy, taken while watching that nobody writes:
so no record of a half-written file is ever handed over, and memory stays bounded however large the file is. The copy
has no name and is gone when it is closed; it needs the file's size in free disk space for as long as that takes.
"""

import errno
import fcntl
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import pydantic

from cdp_orchestration.landing.records import Page, Record
from cdp_orchestration.sources._folder import files_below, first_files, holds_json_objects, pattern, why_left
from cdp_orchestration.sources._formats import FileFormat, read_records, unreadable
from cdp_orchestration.sources.base import Source, SourceConfig

_SETTLE_SECONDS = 1.0
_CHUNK_BYTES = 1 << 20
_PAGE_RECORDS = 10_000
_PAGE_CHARS = 16_000_000


class FileStream(FileFormat):
    """One stream: which files of the folder, and how to read them."""

    glob: str = pydantic.Field(
        default="*",
        description="Which files, relative to the source's folder, in upper or lower case; '**/' walks into subfolders.",
    )
    also: Literal["json_objects"] | None = pydantic.Field(
        default=None,
        description="json_objects: also every file, at any depth and of any name, whose first line that is not blank is a "
        "JSON object, gzipped or not (unless another stream's glob names it).",
    )

    @pydantic.field_validator("glob")
    @classmethod
    def _inside(cls, value: str) -> str:
        if not value or value.startswith("/") or ".." in value.split("/"):
            raise ValueError("must name files inside the source's folder, relative to it")
        return value


class FilesConfig(SourceConfig):
    """A folder with files."""

    kind: Literal["files"] = pydantic.Field(default="files", description="Files in a folder.")
    path: str = pydantic.Field(description="The folder; a relative path begins at CDP_HOME.")
    streams: dict[str, FileStream] = pydantic.Field(description="What is read, by stream name.")


class FilesSource(Source):
    """Reads files from a folder. The folder need not exist yet: until it does there is nothing to read."""

    kind: ClassVar[str] = "files"
    Config: ClassVar[type[SourceConfig]] = FilesConfig
    config: FilesConfig

    def pull(self, stream: str, state: dict[str, Any], files: Mapping[str, str]) -> Iterator[Page]:
        """New and changed files, in the order of their paths.

        A file that is merely touched, or empty, leaves no record; it is looked into again until some batch notes
        its new fingerprint. A file that somebody is writing is left for the next pull.
        """
        how = self.config.streams[stream]
        depth = None if how.also else pattern(how.glob)[1]
        found = {relative: path for relative, path in files_below(self._folder(), depth) if why_left(relative) is None}
        for relative in sorted(found):
            name = _name(relative)
            if self._reads(stream, relative, found[relative], lambda _: files) is None:
                yield from self._pull_file(found[relative], name, how, files.get(name, ""))

    def look(self, landed: Callable[[str], Mapping[str, str]]) -> Iterator[tuple[Path, str, str | None]]:
        """Every file of the folder (of very many, some) with why no stream reads it."""
        known = cache(landed)
        for relative, path in first_files(self._folder()):
            why = why_left(relative)
            if why is None:
                whys = [self._reads(stream, relative, path, known) for stream in self.config.streams]
                why = None if None in whys else next((why for why in whys if why), "it matches no stream's glob")
            yield path, _name(relative), why

    def _reads(self, stream: str, relative: str, path: Path, landed: Callable[[str], Mapping[str, str]]) -> str | None:
        """None where the stream reads the file; else why not, "" where its name alone says so."""
        how = self.config.streams[stream]
        if pattern(how.glob)[0].fullmatch(relative):
            return None
        others = (other for other in self.config.streams if other != stream)
        if not how.also or any(pattern(self.config.streams[other].glob)[0].fullmatch(relative) for other in others):
            return ""
        # What landed once was looked into then.
        return None if _name(relative) in landed(stream) else holds_json_objects(path)

    def _folder(self) -> Path:
        return self.home_root / Path(self.config.path).expanduser()

    def _pull_file(self, path: Path, name: str, how: FileStream, known: str) -> Iterator[Page]:
        try:
            seen = os.stat(path)
            unread = f"{_version(seen)}:unread"
            if known.startswith(f"{_version(seen)}:") and known != unread:
                return
            with open(path, "rb") as original, self.scratch() as copy:
                if _is_written(original) or _is_changing(path, seen):
                    return
                digest = _copy(original, copy, known if known.startswith(f"{seen.st_size}:") else "")
                if _version(os.stat(path)) != _version(seen):
                    return
                files = {name: f"{_version(seen)}:{digest}"}
                if known.endswith(f":{digest}"):
                    yield Page([], {}, files)
                else:
                    copy.seek(0)
                    yield from _pages(read_records(copy, name, how), files)
        except FileNotFoundError:
            return  # moved away since the folder was listed
        except OSError as error:
            # Noted, so that it lands once; and tried again at every pull, because permissions leave no trace.
            if known != unread:
                remedy = "Let this user read it; it is tried again at every pull."
                yield Page([unreadable(name, error.strerror or error, remedy)], {}, {name: unread})


def _name(relative: str) -> str:
    """A name need not be valid Unicode; what is written down must be."""
    return os.fsencode(relative).decode("utf-8", "replace")


def _version(stat: os.stat_result) -> str:
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def _is_written(file: IO[bytes]) -> bool:
    """Whether some process has the file open for writing, as far as the system knows."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # If a writer comes in the instant that we hold the lease, the kernel tells us by a signal. Its default,
        # SIGIO, would end this process; SIGURG is ignored.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN  # else: not our file, or a file system without leases
    return False


def _is_changing(path: Path, seen: os.stat_result) -> bool:
    """Whether a file that was written just now goes on changing; waits a moment to see."""
    age = time.time() - seen.st_mtime
    if 0 <= age < _SETTLE_SECONDS:
        time.sleep(_SETTLE_SECONDS - age)
    return _version(os.stat(path)) != _version(seen)


def _copy(original: IO[bytes], copy: IO[bytes], known: str) -> str:
    """Copies, and gives the content's digest. Content that is `known` (a fingerprint) is not copied."""
    if known:
        digest = hashlib.blake2b(digest_size=16)
        while chunk := original.read(_CHUNK_BYTES):
            digest.update(chunk)
        if known.endswith(f":{digest.hexdigest()}"):
            return digest.hexdigest()
        original.seek(0)
    digest = hashlib.blake2b(digest_size=16)
    while chunk := original.read(_CHUNK_BYTES):
        digest.update(chunk)
        copy.write(chunk)
    return digest.hexdigest()


def _pages(records: Iterator[Record], files: dict[str, str]) -> Iterator[Page]:
    """The records of one file, cut into pages; only after the last one may a batch end."""
    page: list[Record] = []
    chars = 0
    for record in records:
        page.append(record)
        chars += len(record.payload or "")
        if len(page) >= _PAGE_RECORDS or chars >= _PAGE_CHARS:
            yield Page(page, {}, safe=False)
            page, chars = [], 0
    yield Page(page, {}, files)
