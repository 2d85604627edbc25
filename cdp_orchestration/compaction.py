"""Compaction of a home: few files instead of many, and away with what they replaced, once nobody reads it.

DuckDB's views of landing and ledger are made by each build, by the lists of that moment (macros/dialect/landing.sql), and
say by which: `landing._read_by`. Until the next build they read what they read, so what was replaced since stays for them.
"""

import logging
from collections.abc import Callable

import duckdb

from cdp_orchestration.compacted import nobody_reads
from cdp_orchestration.delivery import compaction as of_ledger
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.landing import compaction as of_landing
from cdp_orchestration.landing.index import Stream
from cdp_orchestration.warehouse import file_lock

log = logging.getLogger("cdp")

SMALL_BATCHES = 200  # of a stream: so many, and a build compacts by itself


def compact(home: Home) -> None:
    """Compacts every stream and every sync's ledger, and logs what it did.

    Raises NeedsAPerson where a file does not hold what its manifest says.
    """
    landing, ledger = Landing(home.landing), Ledger(home.deliveries)
    done = 0
    for source, stream in landing.streams():
        small, files = of_landing.compact(landing, source, stream)
        if small:
            log.info(f"{source}.{stream}: {small:,} batches brought together; it is {_counted(files)} now.")
        done += small
    for sync in ledger.syncs():
        with ledger.locked(sync):
            small, files = of_ledger.compact(ledger, sync)
        if small:
            log.info(f"ledger of {sync}: {small:,} files brought together; it is {_counted(files)} now.")
        done += small
    if not done:
        log.info("Nothing to compact.")
    removed, left = sweep(home)
    if removed:
        log.info(f"Removed {removed:,} files that were replaced.")
    if left:
        log.info(
            "Files that were replaced stay until the next build, or until nobody uses the warehouse: they may be in use."
        )


def compact_if_due(home: Home) -> None:
    """What a build does before it reads: removes what was replaced, and compacts streams of very many small batches."""
    sweep(home)
    landing = Landing(home.landing)
    for source, stream in landing.streams():
        if of_landing.small_batches(landing, source, stream) >= SMALL_BATCHES:
            try:
                of_landing.compact(landing, source, stream)
            except NeedsAPerson:
                continue  # `cdp compact` says what is wrong; a build works either way


def sweep(home: Home) -> tuple[int, bool]:
    """Removes files that were replaced and that nobody reads any more: how many, and whether some had to stay."""
    landing, ledger = Landing(home.landing), Ledger(home.deliveries)
    streams, syncs = _with_replaced(landing, ledger)
    if not streams and not syncs:
        return 0, False
    removed = 0
    # Builds and readers of a warehouse in this home hold the first lock, whoever loads or plans one of the others.
    with (
        file_lock.if_free(home) as nobody_builds,
        nobody_reads(home.landing) as nobody_loads,
        nobody_reads(home.deliveries) as nobody_plans,
    ):
        views = _read_by(home) if nobody_builds and nobody_loads and nobody_plans else None
        if views is None:
            return 0, True
        for source, stream in streams:
            removed += of_landing.sweep(landing, source, stream, views(f"landing/{source}/{stream}"))
        for sync in syncs:
            # Not waited for: whoever delivers may be waiting to read.
            with ledger.if_free(sync) as nobody_delivers:
                removed += of_ledger.sweep(ledger, sync, views(f"deliveries/ledger/{sync}")) if nobody_delivers else 0
    return removed, any(_with_replaced(landing, ledger))


def _with_replaced(landing: Landing, ledger: Ledger) -> tuple[list[Stream], list[str]]:
    """Streams and syncs that may have files which compaction replaced."""
    streams = [stream for stream in landing.streams() if of_landing.has_replaced(landing, *stream)]
    return streams, [sync for sync in ledger.syncs() if of_ledger.has_replaced(ledger, sync)]


def _read_by(home: Home) -> Callable[[str], int | None] | None:
    """By which generation of a folder's list DuckDB's views read it (None: there are no views); None where nobody can say."""
    if not home.warehouse.exists():
        return lambda _: None
    try:
        with duckdb.connect(str(home.warehouse), read_only=True) as connection:
            [(landing,)] = connection.execute(
                "select count(*) from duckdb_views() where schema_name = 'landing' and not internal"
            ).fetchall()
            if not landing:
                return lambda _: None
            found = dict(connection.execute("select folder, generation from landing._read_by").fetchall())
    except duckdb.CatalogException:
        found = {}  # views that an earlier version made: they read everything that was not compacted
    except duckdb.Error:
        return None  # somebody writes to it, or it is damaged
    return lambda folder: found.get(folder, 0)


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files:,} files"
