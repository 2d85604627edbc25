"""Kind `files`: a folder of CSV, JSON Lines or Parquet files, CSV and JSON Lines also gzipped.

Each new or changed file is read once. A file is first copied to a scratch file; only if it did not change meanwhile is
the copy read, so what lands is one moment of the file, however long reading takes.
"""

import fcntl
import fnmatch
import gzip
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import pydantic

from cdp_orchestration.records import Page, Record
from cdp_orchestration.sources import Source, SourceConfig
from cdp_orchestration.sources._formats import FORMATS, Unreadable, format_of

SETTLED_SECONDS = 1.0
PAGE = 10_000
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")


class FileStream(pydantic.BaseModel):
    """One stream: which files of the folder, and how to read them."""

    model_config = pydantic.ConfigDict(extra="forbid")

    glob: str = pydantic.Field("*", description="Names of the stream's files, e.g. orders-*.csv.")
    format: Literal["auto", "csv", "jsonl", "parquet"] = pydantic.Field(
        "auto", description="auto: by the file's ending."
    )
    delimiter: str = pydantic.Field(
        "", description="CSV: one character; 'whitespace' for runs of blanks. Default , (tab for .tsv)."
    )
    header: bool | list[str] = pydantic.Field(
        True, description="CSV: true when the first row names the columns, or the names."
    )
    skip_lines: int = pydantic.Field(0, ge=0, description="CSV: lines before the header or the first row to leave out.")
    encoding: str = pydantic.Field("utf-8-sig", description="CSV and JSON Lines: the text's encoding.")


class FilesConfig(SourceConfig):
    path: str = pydantic.Field(description="The folder; a relative path starts at CDP_HOME.")
    streams: dict[str, FileStream] = pydantic.Field(description="What is read, by stream name.")


class Files(Source):
    kind: ClassVar[str] = "files"
    Config: ClassVar[type[SourceConfig]] = FilesConfig

    def pull(self, stream: str, state: dict[str, Any], files: dict[str, str]) -> Iterator[Page]:
        """Pages of the stream's new and changed files, in the order of their names. A missing folder is empty."""
        options: FileStream = self.config.streams[stream]
        folder = self.home_root / Path(self.config.path).expanduser()
        for path in self._candidates(folder, options.glob):
            name = path.name
            known = files.get(name, "")
            try:
                if known.startswith(_stat_part(path.stat())) or _is_being_written(path):
                    continue
                with self.scratch() as copy:
                    fingerprint = _copied(path, copy)
                    if fingerprint is None:
                        continue  # it changed while it was read: the next run takes it
                    if _content_part(fingerprint) == _content_part(known):
                        continue  # touched, but the same
                    yield from _pages(copy, name, options, fingerprint)
            except OSError as error:
                told = f"{name}: could not be read: {error.strerror or error}. Mend its permissions or remove it."
                fingerprint = f"unreadable:{error.errno}"
                if known != fingerprint:
                    yield Page([Record(None, told, name)], {}, {name: fingerprint})

    @staticmethod
    def _candidates(folder: Path, glob: str) -> list[Path]:
        if not folder.is_dir():
            return []
        return sorted(
            path
            for path in folder.iterdir()
            if fnmatch.fnmatchcase(path.name, glob)
            and not path.name.startswith((".", "_"))
            and not path.name.endswith(_UNFINISHED)
            and path.is_file()
        )


def _pages(copy: IO[bytes], name: str, options: FileStream, fingerprint: str) -> Iterator[Page]:
    """The records of one file; the last page carries its fingerprint, and a batch may end only there."""
    records: list[Record] = []
    try:
        kind = format_of(name) if options.format == "auto" else options.format
        copy.seek(0)
        stream: IO[bytes] = gzip.GzipFile(fileobj=copy) if name.endswith(".gz") else copy  # type: ignore[assignment]
        for record in FORMATS[kind](stream, name, options):
            records.append(record)
            if len(records) >= PAGE:
                yield Page(records, {}, safe=False)
                records = []
    except Unreadable as error:
        records.append(Record(None, f"{name}: could not be read: {error}", name))
    except (OSError, EOFError, ValueError, LookupError) as error:
        records.append(
            Record(None, f"{name}: could not be read: {error}. Rows before this point landed; replace the file.", name)
        )
    yield Page(records, {}, {name: fingerprint})


def _copied(path: Path, copy: IO[bytes]) -> str | None:
    """Copy the file; its fingerprint, or None where it changed meanwhile."""
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        shutil.copyfileobj(file, copy, 1 << 20)
    copy.seek(0)
    digest = hashlib.file_digest(copy, "sha256").hexdigest()[:32]  # type: ignore[arg-type]
    after = path.stat()
    if _stat_part(before) != _stat_part(after):
        return None
    return f"{_stat_part(after)}{digest}"


def _stat_part(stat: os.stat_result) -> str:
    return f"{stat.st_size}:{stat.st_mtime_ns}:"


def _content_part(fingerprint: str) -> str:
    return fingerprint.rpartition(":")[2]


def _is_being_written(path: Path) -> bool:
    """Whether another process has the file open for writing, or wrote to it just now and goes on writing."""
    with open(path, "rb") as file:
        try:
            # The kernel grants a read lease only where nobody has the file open for writing.
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        except OSError:
            pass  # not our file, or a file system without leases: the look at its age below must do
    stat = path.stat()
    age = time.time() - stat.st_mtime
    if 0 <= age < SETTLED_SECONDS:
        time.sleep(SETTLED_SECONDS - age)
        return _stat_part(path.stat()) != _stat_part(stat)
    return False
