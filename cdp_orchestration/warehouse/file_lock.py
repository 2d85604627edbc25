"""The lock of a warehouse that lies in the home. The kernel frees it when its holder dies."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from cdp_orchestration import disk
from cdp_orchestration.home import Home

log = logging.getLogger("cdp")


@contextmanager
def writing(home: Home) -> Iterator[None]:
    """Hold it alone."""
    with _locked(home, fcntl.LOCK_EX, "write"):
        yield


@contextmanager
def reading(home: Home) -> Iterator[None]:
    """Hold it among other readers."""
    with _locked(home, fcntl.LOCK_SH, "read"):
        yield


def if_free(home: Home) -> AbstractContextManager[bool]:
    """Hold it alone if nobody holds it; whether that is so."""
    return disk.if_free(home.root / "warehouse.lock")


@contextmanager
def _locked(home: Home, kind: int, what: str) -> Iterator[None]:
    home.root.mkdir(parents=True, exist_ok=True)
    with open(home.root / "warehouse.lock", "a") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info(f"Another process is using the warehouse; waiting to {what}.")
            fcntl.flock(lock, kind)
        yield
