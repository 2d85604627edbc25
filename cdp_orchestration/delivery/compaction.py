"""Compaction of the ledger: the files of a sync, one a batch, brought into few (compacted.py), and a digest of them.

The digest is what a plan may still ask for, so that a plan costs what the ledger holds and not how it came to be.
"""

from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from cdp_orchestration import compacted
from cdp_orchestration.compacted import Compacted
from cdp_orchestration.delivery.ledger import SCHEMA, Ledger, literals, undigested
from cdp_orchestration.disk import whole_file
from cdp_orchestration.errors import NeedsAPerson

SMALL_FILES = 100  # so many, and delivery compacts by itself


def compact(ledger: Ledger, sync: str, at_least: int = 2, most: int = compacted.MOST_ROWS) -> tuple[int, int]:
    """Brings the sync's small files into few, where they are at least `at_least`. The caller holds the sync's lock.

    Returns how many small files, and how many compacted files there are now; (0, …) where nothing was due. A crash
    anywhere leaves things as they were, or done.
    """
    folder = ledger.folder(sync)
    before = compacted.read_list(folder)
    due = [(last, path) for last, path in ledger.tail(sync, before.through)]
    if len(due) < at_least:
        return 0, len(before.files)
    ledger.prepare()
    compacted.drop_unlisted(folder, before)
    kept = compacted.kept_files(before, due[-1][0] - before.through, most)
    paths = [*before.paths(folder)[kept:], *(path for _, path in due)]
    parts = (part for path in paths for part in compacted.read_rows(path, SCHEMA))
    files = compacted.write_files(folder, before.generation + 1, parts, SCHEMA, "ledger_no", most)
    with (
        whole_file(compacted.digest_path(folder, before.generation + 1)) as handle,
        duckdb.connect(":memory:") as connection,
    ):
        rows = _to_digest(ledger, folder, before, kept, files)
        reader = connection.sql(_digest(rows)).to_arrow_reader(50_000)
        with pq.ParquetWriter(handle, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
    after = compacted.next_list(before, kept, files, due[-1][0])
    compacted.write_list(folder, f"deliveries/ledger/{sync}", after)  # the commit
    return len(due), len(after.files)


def compact_if_due(ledger: Ledger, sync: str) -> None:
    """Keeps the small files few, so that a plan costs what the ledger holds and not how it came. As `compact`."""
    with suppress(NeedsAPerson):  # `cdp compact` says what is wrong; a delivery works either way
        compact(ledger, sync, SMALL_FILES)


def sweep(ledger: Ledger, sync: str, read_by: int | None) -> int:
    """Removes files that compaction replaced and that nobody reads any more; how many. `read_by`: as for `superseded`.

    The caller holds the sync's lock and keeps readers away.
    """
    folder = ledger.folder(sync)
    gone, after = compacted.superseded(folder, ledger.tail(sync), read_by)
    for path in gone:
        path.unlink(missing_ok=True)
    if after.earlier != compacted.read_list(folder).earlier:
        compacted.write_list(folder, f"deliveries/ledger/{sync}", after)
    return len(gone)


def has_replaced(ledger: Ledger, sync: str) -> bool:
    """Whether there may be files that compaction replaced."""
    return bool(compacted.read_list(ledger.folder(sync)).earlier)


def _to_digest(ledger: Ledger, folder: Path, before: Compacted, kept: int, added: list[compacted.File]) -> str:
    """A query, as in `Ledger.relation`, of what is compacted when `added` takes the place of all but the first `kept` files."""
    new = [folder / compacted.FOLDER / file.name for file in added]
    made = compacted.digest_path(folder, before.generation)
    if not made.exists():
        return undigested([*before.paths(folder)[:kept], *new], ledger.root)
    rows = f"select * from ({undigested(new, ledger.root)}) where ledger_no > {before.through}"
    return f"select * from read_parquet({literals([made])}) union all by name {rows}"


def _digest(rows: str) -> str:
    """A query: of a sync's ledger, what a plan may still ask for. A digest and later rows can be digested again.

    rows: a query of a digest, or of ledger rows with earlier_keys null. Kept are, unchanged: the last accepted row of each
    entry; what may have arrived, unless a later row of its entry was accepted; every attempt since a row_key last got a new
    idempotency_key, as its key may be tried again; and the last row of each place. The other keys that had, or may have had,
    an effect are only counted: one row per row_key with status 'earlier', and how many in earlier_keys.
    """
    entry = "destination, address, identifiers_sent, row_key"
    return f"""
        with given as materialized ({rows}),
        attempts as (select * from given where status <> 'earlier'),
        effective as (
            select row_key, idempotency_key, min(ledger_no) as first_no from attempts
            where status = 'accepted' or (status = 'failed' and code = 'unknown') group by all
        ),
        newest_keys as (select row_key, max(first_no) as since from effective group by row_key),
        accepted as (select {entry}, max(ledger_no) as ledger_no from attempts where status = 'accepted' group by all),
        doubtful_keys as (
            select distinct attempts.idempotency_key from attempts left join accepted
                on accepted.row_key = attempts.row_key and accepted.identifiers_sent = attempts.identifiers_sent
                and accepted.destination is not distinct from attempts.destination
                and accepted.address is not distinct from attempts.address
            where status = 'failed' and code = 'unknown' and attempts.ledger_no > coalesce(accepted.ledger_no, 0)
        ),
        needed as (
            select ledger_no from attempts left join newest_keys using (row_key)
            where ledger_no >= coalesce(since, 0) or idempotency_key in (select idempotency_key from doubtful_keys)
            union select ledger_no from accepted
            union select max(ledger_no) from attempts group by destination, address
        ),
        needed_keys as (
            select row_key, idempotency_key, first_no from effective
            where (row_key, idempotency_key) in (
                select (row_key, idempotency_key) from attempts where ledger_no in (select ledger_no from needed)
            )
        ),
        counted as (
            select row_key, sum(keys) as earlier_keys from (
                select row_key, max(earlier_keys) as keys from given where status = 'earlier' group by row_key
                union all select row_key, count(*) from effective group by row_key
                union all select row_key, -count(*) from needed_keys group by row_key
            ) group by row_key having sum(keys) > 0
        )
        select * from attempts
        where ledger_no in (select ledger_no from needed) or ledger_no in (select first_no from needed_keys)
        union all by name
        select row_key, 'earlier' as status, 0 as ledger_no, cast(earlier_keys as bigint) as earlier_keys from counted
    """
