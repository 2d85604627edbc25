"""Leaves one file of operations per delivery in a folder, whole or not at all.

A file's name is <sync>-<UTC time>-<hash of its idempotency keys>.<format>: names sort by time, and a replay after a
crash finds the file that is already there. A reader may take any file without a leading dot.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

import pydantic

from cdp_orchestration.destinations._spreadsheet_csv import line
from cdp_orchestration.destinations.base import Destination, DestinationConfig, Mode, Operation, Outcome
from cdp_orchestration.disk import whole_file
from cdp_orchestration.errors import NeedsAPerson, NoAnswer

_OWN_COLUMNS = ("operation", "row_key", "idempotency_key")


class FileDropConfig(DestinationConfig):
    """Where to leave the files, and in what format."""

    folder: str = pydantic.Field(
        default="drop", description="Folder for the files; a relative one is below CDP_HOME. Made if missing."
    )
    format: Literal["jsonl", "csv"] = pydantic.Field(
        default="jsonl",
        description="jsonl: one {operation, row_key, idempotency_key, fields} a line. csv: those columns, then the fields'.",
    )
    formulas: Literal["neutralise", "keep"] = pydantic.Field(
        default="neutralise",
        description="csv only. neutralise: a text that a spreadsheet would run as a formula (it begins with = + - @) gets "
        "a leading apostrophe. keep: texts are written as they are, for readers that are no spreadsheets.",
    )


class FileDrop(Destination):
    """The destination kind `file_drop`."""

    kind: ClassVar[str] = "file_drop"
    Config: ClassVar[type[DestinationConfig]] = FileDropConfig
    removal: ClassVar[str] = "writes a remove operation"
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "update_only", "insert_only", "append")
    no_erasure: ClassVar[str] = "a file that was left belongs to whoever reads the folder: ask them"
    batch_size = None
    ordered = True

    def address(self) -> str:
        """The folder, resolved. One below CDP_HOME is written from there, so that a home can move with its drop folder."""
        folder, home = self._folder().resolve(), self.home_root.resolve()
        return f"CDP_HOME/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)

    def is_local(self) -> bool:
        return True

    def _folder(self) -> Path:
        return self.home_root / Path(self.config.folder).expanduser()

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """Writes the file, in the order given. Raises NeedsAPerson (folder, columns), NoAnswer (a full disk, say)."""
        if not operations:
            return []
        folder = self._folder()
        keys = "|".join(operation.idempotency_key for operation in operations)
        digest = hashlib.sha256(keys.encode()).hexdigest()[:16]
        is_csv, neutralise = self.config.format == "csv", self.config.formulas == "neutralise"
        lines = _csv(operations, neutralise) if is_csv else _jsonl(operations)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            name = self._already_there(folder, sync, digest)
            if name is None:
                name = f"{sync}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{digest}.{self.config.format}"
                with whole_file(folder / name) as file:
                    file.writelines(lines)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise NeedsAPerson(
                f"file_drop: cannot write to {folder} ({error.strerror}). Correct the field 'folder' or its permissions."
            ) from error
        except OSError as error:
            raise NoAnswer(
                f"file_drop: writing to {folder} failed ({error.strerror or error}). Make room or repair the disk; the "
                "rows stay owed.",
                code=str(error.errno or ""),
                may_have_arrived=self._already_there(folder, sync, digest) is not None,
            ) from error
        return [Outcome(operation.row_key, "accepted", "written", name) for operation in operations]

    def _already_there(self, folder: Path, sync: str, digest: str) -> str | None:
        """The file of a delivery that wrote it and died before it could say so. Sweeps away unfinished ones."""
        found = None
        for name in os.listdir(folder) if folder.is_dir() else ():
            if name.startswith(f".{sync}-") and name.endswith(".tmp"):
                (folder / name).unlink(missing_ok=True)
            elif name.startswith(f"{sync}-") and name.endswith(f"-{digest}.{self.config.format}"):
                found = name
        return found


def _jsonl(operations: Iterable[Operation]) -> Iterator[bytes]:
    for operation in operations:
        row = {name: getattr(operation, name) for name in (*_OWN_COLUMNS, "fields")}
        yield json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _csv(operations: list[Operation], neutralise: bool) -> Iterator[bytes]:
    fields = list(dict.fromkeys(name for operation in operations for name in operation.fields))
    # The identifier row_key is a column of ours already, with the same value.
    fields = [name for name in fields if name != "row_key"]
    clash = [name for name in fields if name in _OWN_COLUMNS]
    if clash:
        raise NeedsAPerson(
            f"file_drop: the model's column '{clash[0]}' is also a column of the CSV file. Rename it in the model, or set "
            "the field 'format' to jsonl."
        )
    yield line([*_OWN_COLUMNS, *fields], neutralise)
    for operation in operations:
        own = [getattr(operation, name) for name in _OWN_COLUMNS]
        yield line([*own, *(operation.fields.get(name) for name in fields)], neutralise)
