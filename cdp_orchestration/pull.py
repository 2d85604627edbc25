"""One pull of a stream: what a source has that is new, landed."""

import fcntl
from collections.abc import Iterable, Iterator

from cdp_orchestration.connections import Connection
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Batch, Landing, Page


def land_stream(source: Connection, stream: str, home: Home) -> tuple[list[Batch], list[str]]:
    """Pull what is new in one stream and publish it; with what a person should know about it. One pull per stream at a
    time; a second one waits."""
    landing = Landing(home.landing)
    landing.prepare(source.name, stream)
    notes: list[str] = []
    with open(home.landing / source.name / stream / ".pull.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connector = source.source(home)
        pages = connector.pull(stream, landing.state(source.name, stream), landing.files(source.name, stream))
        batches = landing.land(source.name, stream, _noted(pages, notes))
    # Pages of which nothing landed are read again, and their notes are shown then.
    return batches, notes if batches else []


def _noted(pages: Iterable[Page], notes: list[str]) -> Iterator[Page]:
    for page in pages:
        notes += page.notes
        yield page
