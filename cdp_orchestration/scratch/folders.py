"""Folders for scratch work under CDP_HOME/scratch: gone when the work ends, and what a killed process left with the next one."""

import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdp_orchestration import disk
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.scratch import databases

log = logging.getLogger("cdp")


@dataclass
class ScratchFolder:
    """An empty folder, and a name that nothing else has: also that of a database, if one is made. `stays`: it is not removed."""

    root: Path
    name: str
    stays: bool = False


@contextmanager
def scratch_folder(home: Home, keep: Path | None = None) -> Iterator[ScratchFolder]:
    """A folder, and the database of its name, while the block runs. `keep`: the folder to use, which may stay.

    Raises NeedsAPerson where `keep` is not empty.
    """
    name = f"cdp_scratch_{secrets.token_hex(6)}"
    folder = ScratchFolder((keep or home.root / "scratch" / name).absolute(), name)
    if keep and folder.root.exists() and (not folder.root.is_dir() or any(folder.root.iterdir())):
        raise NeedsAPerson(f"--keep {keep}: is there already, and not empty. Name a folder that is not there yet.")
    with ExitStack() as alive:
        with disk.held(home.root / "scratch" / ".lock"):  # nobody takes it for a dead one before it has its own lock
            _sweep(home)
            folder.root.mkdir(parents=True, exist_ok=True)
            alive.enter_context(disk.held(folder.root / ".lock"))
        try:
            yield folder
        finally:
            if not folder.stays:
                _remove(folder.root, name)


def _sweep(home: Home) -> None:
    """What killed processes left."""
    for root in (home.root / "scratch").glob("cdp_scratch_*"):
        with disk.if_free(root / ".lock") as free:
            if free:
                _remove(root, root.name)


def _remove(root: Path, name: str) -> None:
    """Where the server does not let go of the database, the folder stays, and the next one tries again."""
    try:
        databases.drop(name)
    except Exception as error:  # it must not hide what went wrong before
        log.warning(f"The scratch database {name} is still there: {' '.join(str(error).split())}")
        return
    shutil.rmtree(root, ignore_errors=True)
