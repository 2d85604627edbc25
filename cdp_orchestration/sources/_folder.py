"""What lies in a folder of files, and which of it a stream reads by its name."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cdp_orchestration.sources._formats import GZIPPED
from cdp_orchestration.sources._json import begins_with_object

UNFINISHED = (".tmp", ".part", ".crdownload", ".swp", "~")
_MOST = 100_000
_LOOKED_INTO = 64 * 1024


def files_below(folder: Path, depth: int | None = None) -> Iterator[tuple[str, Path]]:
    """(path relative to the folder, path) of every file, at most `depth` folders deep (1: the folder itself)."""
    yield from _below(folder, "", depth, frozenset())


def _below(
    folder: Path, prefix: str, depth: int | None, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, Path]]:
    try:
        here = os.stat(folder)
        entries = list(os.scandir(folder))
    except OSError:
        return  # gone since it was listed, or not for us to read
    if (here.st_dev, here.st_ino) in above:
        return  # a link that leads back
    for entry in entries:
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:
            continue
        if is_file:
            yield prefix + entry.name, Path(entry.path)
        elif is_folder and depth != 1:
            within = above | {(here.st_dev, here.st_ino)}
            deeper = None if depth is None else depth - 1
            yield from _below(Path(entry.path), f"{prefix}{entry.name}/", deeper, within)


@cache
def pattern(glob: str) -> tuple[re.Pattern[str], int | None]:
    """A glob as a pattern of relative paths, and how deep it reaches (None: any depth).

    As in the shell: * and ? stay within a name, ** walks through folders. Upper and lower case are alike, as
    `EXPORT.CSV` is what `*.csv` means.
    """
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    text = ""
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        if part == "**":
            text += ".*" if is_last else "(?:.*/)?"
        else:
            text += _name_pattern(part) + ("" if is_last else "/")
    return re.compile(text, re.IGNORECASE | re.DOTALL), None if "**" in parts else len(parts)


def _name_pattern(part: str) -> str:
    text, at = "", 0
    while at < len(part):
        character = part[at]
        at += 1
        closed = part.find("]", at + 1)
        if character == "*":
            text += "[^/]*"
        elif character == "?":
            text += "[^/]"
        elif character == "[" and closed > 0:
            held = part[at:closed].replace("\\", "\\\\")
            text += f"[{'^' + held[1:] if held[0] in '!^' else held}]"
            at = closed + 1
        else:
            text += re.escape(character)
    return text


def why_left(relative: str) -> str | None:
    """Why no stream reads a file of that name, whatever its glob; None where one may."""
    for part in relative.split("/"):
        if part.startswith((".", "_")):
            return f"its name begins with {part[0]}" if part == relative else f"'{part}' begins with {part[0]}"
    return "it is unfinished, by its name" if relative.lower().endswith(UNFINISHED) else None


def holds_json_objects(path: Path) -> str | None:
    """None where the first line of a file that is not blank is (or begins) a JSON object, gzipped or not; else why not."""
    try:
        with open(path, "rb") as file:
            beginning = file.read(_LOOKED_INTO)
            if beginning.startswith(GZIPPED):
                # Only so much is unpacked, however much there is.
                beginning = zlib.decompressobj(wbits=31).decompress(beginning, _LOOKED_INTO)
    except (OSError, zlib.error, gzip.BadGzipFile) as error:
        return f"it cannot be read: {getattr(error, 'strerror', None) or error}"
    if not beginning.strip():
        return "it is empty"
    encoding = "utf-16" if beginning[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if begins_with_object(beginning.decode(encoding, "replace")):
        return None
    return "its first line is no JSON object"


def first_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder for a person to look at: of a folder that holds very many, some."""
    for number, found in enumerate(files_below(folder)):
        if number >= _MOST:
            return
        yield found
