"""Files that lie where a source reads, and that no stream of any source reads: named, so that nobody waits for them."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from cdp_orchestration.connections import connections
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing

SHOWN = 10


def unread_files(home: Home) -> dict[str, list[tuple[str, str]]]:
    """Source -> (name, why) of each file that is not read, by name. Reads beginnings of files at most."""
    landing = Landing(home.landing)
    read: set[Path] = set()
    left: dict[str, dict[Path, tuple[str, str]]] = {}
    for name, source in connections("sources").items():
        with suppress(CdpError):  # a source that cannot be set up says so when it is pulled
            for path, shown, why in source.source(home).look(partial(landing.files, name)):
                if why is None:
                    read.add(path)
                else:
                    left.setdefault(name, {})[path] = (shown, why)
    found = {name: sorted(why for path, why in files.items() if path not in read) for name, files in left.items()}
    return {name: files for name, files in found.items() if files}


def sentences(home: Home) -> list[str]:
    """One sentence a source, of bounded length."""
    found = []
    for source, files in unread_files(home).items():
        names = "; ".join(f"{name} ({why})" for name, why in files[:SHOWN])
        more = f"; and {len(files) - SHOWN:,} more (`cdp status`)" if len(files) > SHOWN else ""
        what = "1 file is not read" if len(files) == 1 else f"{len(files):,} files are not read"
        found.append(f"{source}: {what}: {names}{more}")
    return found
