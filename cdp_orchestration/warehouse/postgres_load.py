"""Landing into PostgreSQL: each landed batch once, by COPY, in the transaction that records it.

    landing.<source>__<stream>   the records, with `_document`: their canonical JSON where it is not what came
    landing._batches             the manifests; a row here means that its batch is loaded
    landing._ledger              attempts at deliveries, each known by (sync, ledger_no); the numbers only rise

DuckDB reads the Parquet and writes the JSON as it would read it itself, so numbers, escapes and repeated keys mean the
same on either engine. What PostgreSQL cannot hold (NaN, what is nested too deeply) becomes an unreadable record with that
reason: it is quarantined like any other, and the counts add up.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cdp_orchestration.delivery.ledger import Ledger, literals
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Batch, Landing
from cdp_orchestration.landing.records import strict
from cdp_orchestration.unambiguous import DEEPEST

log = logging.getLogger("cdp")

TEXT = 'text collate "C"'
# As the macro without_null_character (macros/dialect/json.sql) has it, by which the other engines read a record.
WITHOUT_NULL_CHARACTER = r"""case when contains(_payload, '\u0000')
    then replace(replace(replace(_payload, '\\', chr(1)), '\u0000', '\ufffd'), chr(1), '\\') else _payload end"""
RECORDS = f"""
    create table if not exists landing."{{name}}" (
        _source {TEXT}, _stream {TEXT}, _batch_id {TEXT}, _batch_seq bigint, _record_no bigint, _file {TEXT},
        _landed_at timestamp, _payload {TEXT}, _error {TEXT}, _document {TEXT}
    )
"""
BATCHES = f"""
    create table if not exists landing._batches (
        batch_id {TEXT} primary key, batch_seq bigint, source {TEXT}, stream {TEXT}, records bigint, errors bigint,
        landed_at timestamp
    )
"""
LEDGER = f"""
    create table if not exists landing._ledger (
        run_id {TEXT}, sync {TEXT}, row_key {TEXT}, profile_id {TEXT}, operation {TEXT}, status {TEXT}, attempt bigint,
        code {TEXT}, message {TEXT}, payload_hash {TEXT}, identifiers_sent {TEXT}, consent_message_id {TEXT},
        idempotency_key {TEXT}, attempted_at timestamp, ledger_no bigint, batch_no bigint, destination {TEXT}, address {TEXT}
    )
"""
# By which a row is known, and the last one of a sync found without looking at the others.
LEDGER_KEY = "create unique index if not exists _ledger_key on landing._ledger (sync, ledger_no)"
# For a table of an earlier version. Only there, as it waits for everybody who reads the table.
LEDGER_GREW = f"alter table landing._ledger add column destination {TEXT}, add column address {TEXT}"


def load(connection: Any, home: Home, streams: list[tuple[str, str]]) -> None:
    """Loads what the database does not have yet. Raises NeedsAPerson where it belongs to another home."""
    landing, ledger = Landing(home.landing), Ledger(home.deliveries)
    with landing.reading():
        _load_landing(connection, home, landing, streams)
    with ledger.reading():
        _load_ledger(connection, home, ledger)


def _load_landing(connection: Any, home: Home, landing: Landing, streams: list[tuple[str, str]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select nspname from pg_namespace where nspname = 'landing'")
        if not cursor.fetchall():
            cursor.execute("create schema landing")
        cursor.execute(BATCHES)
        cursor.execute(LEDGER)
        cursor.execute(
            "select 1 from information_schema.columns where table_schema = 'landing' and table_name = '_ledger' "
            "and column_name = 'address'"
        )
        if not cursor.fetchall():
            cursor.execute(LEDGER_GREW)
        cursor.execute(
            "drop table if exists landing._ledger_files"
        )  # earlier versions knew rows by the file they were in
        cursor.execute(LEDGER_KEY)
        for source, stream in streams:
            cursor.execute(RECORDS.format(name=f"{source}__{stream}"))
        cursor.execute("select batch_id, batch_seq from landing._batches")
        loaded = dict(cursor.fetchall())
    batches = landing.batches()
    foreign = sorted(set(loaded) - {batch.batch_id for batch in batches}, key=lambda batch_id: loaded[batch_id])
    if foreign:
        raise NeedsAPerson(
            f"The database holds batch {foreign[0]}, which is not in {home.landing}: it belongs to another CDP_HOME, or "
            "landed files were removed. Point PGDATABASE to a database of its own, or CDP_HOME to the home it belongs to."
        )
    for batch in batches:
        if batch.batch_id not in loaded and (batch.source, batch.stream) in streams:
            _load_batch(connection, home, batch)
            log.info(f"loaded {batch.source}.{batch.stream}: batch {batch.batch_seq}, {batch.records} records")


def _load_batch(connection: Any, home: Home, batch: Batch) -> None:
    with tempfile.TemporaryDirectory(prefix=".load-", dir=home.landing) as folder:
        file = Path(folder) / "records.csv"
        with duckdb.connect() as reader:
            _write_csv(reader, batch, file)
        with connection.cursor() as cursor:
            cursor.execute("begin")
            with open(file, "rb") as handle:
                cursor.copy_expert(
                    f"copy landing.\"{batch.source}__{batch.stream}\" from stdin (format csv, null '\\N')", handle
                )
            if cursor.rowcount != batch.records:
                cursor.execute("rollback")
                raise NeedsAPerson(
                    f"{batch.path}: {cursor.rowcount} records were read, but its manifest says {batch.records}. Restore "
                    "the file from a backup; nothing of it was loaded."
                )
            cursor.execute(
                "insert into landing._batches values (%s, %s, %s, %s, %s, %s, %s)",
                [
                    batch.batch_id,
                    batch.batch_seq,
                    batch.source,
                    batch.stream,
                    batch.records,
                    batch.errors,
                    batch.landed_at,
                ],
            )
            cursor.execute("commit")
            cursor.execute(f'analyze landing."{batch.source}__{batch.stream}"')


def _write_csv(reader: duckdb.DuckDBPyConnection, batch: Batch, file: Path) -> None:
    reader.execute("set preserve_insertion_order = true")
    reader.execute(f"""
        create view records as select *, case when _error is null and json_valid(_payload)
            then cast(json({WITHOUT_NULL_CHARACTER}) as varchar) end as document
        from read_parquet([{literals(batch.files)}]) where _batch_seq = {batch.batch_seq}
    """)
    # Few records are worth a second look in Python: those that could hold what only some JSON readers take, in batches that
    # landed before that was looked for (records.py).
    suspects = reader.execute(f"""
        select _record_no, document from records where _error is null and (
            document is null or contains(document, 'NaN') or contains(document, 'nfinity')
            or len(document) - len(replace(replace(document, '{{', ''), '[', '')) > {DEEPEST}
            or (document[1] = '{{' and len(json_keys(document)) <> len(list_distinct(json_keys(document))))
            or (json_type(document, '$.traits') = 'OBJECT' and len(json_keys(document, '$.traits'))
                <> len(list_distinct(json_keys(document, '$.traits'))))
            or (json_type(document, '$.properties') = 'OBJECT' and len(json_keys(document, '$.properties'))
                <> len(list_distinct(json_keys(document, '$.properties'))))
        )
    """).fetchall()
    mended = [(number, *_second_look(document)) for number, document in suspects]
    columns = [pa.array(values) for values in zip(*mended, strict=True)] if mended else [[], [], []]
    table = pa.Table.from_arrays(
        [pa.array(column, kind) for column, kind in zip(columns, (pa.int64(), pa.string(), pa.string()), strict=True)],
        names=["number", "mended", "reason"],
    )
    reader.register("looked_at", table)
    reader.execute(f"""
        copy (
            select _source, _stream, _batch_id, _batch_seq, _record_no, _file, _landed_at,
                replace(_payload, chr(0), '\\u0000') as _payload, replace(coalesce(_error, reason), chr(0), '\\u0000') as _error,
                nullif(case when looked_at.number is null then document else cast(json(mended) as varchar) end, _payload)
            from records left join looked_at on looked_at.number = records._record_no order by _record_no
        ) to '{_quoted(file)}' (format csv, header false, nullstr '\\N', force_quote (_payload))
    """)


def _second_look(document: str | None) -> tuple[str | None, str | None]:
    """(canonical JSON, None), or (None, why PostgreSQL cannot hold the record). Of repeated names the first one counts."""
    if document is None:
        return None, "not valid JSON"
    try:
        return strict(document), None
    except ValueError as error:
        return None, f"{error}: PostgreSQL cannot read the record"


def _load_ledger(connection: Any, home: Home, ledger: Ledger) -> None:
    """Per sync, in one transaction, the rows whose numbers are above the last one that is there."""
    with connection.cursor() as cursor:
        for sync in ledger.syncs():
            cursor.execute("select coalesce(max(ledger_no), 0) from landing._ledger where sync = %s", [sync])
            [(known,)] = cursor.fetchall()
            files = ledger.files(sync, after=known)
            if not files:
                continue
            with tempfile.TemporaryDirectory(prefix=".load-", dir=home.deliveries) as folder:
                file = Path(folder) / "ledger.csv"
                with duckdb.connect() as reader:
                    rows = f"from read_parquet([{literals(files)}], union_by_name = true) where ledger_no > {known}"
                    described = reader.execute(f"describe select * {rows}").fetchall()
                    columns = ", ".join(
                        f"replace({column}, chr(0), '')" if kind == "VARCHAR" else column
                        for column, kind, *_ in described
                    )
                    reader.execute(
                        f"copy (select {columns} {rows}) to '{_quoted(file)}' (format csv, header false, nullstr '\\N')"
                    )
                names = ", ".join(column for column, *_ in described)
                with open(file, "rb") as handle:
                    cursor.copy_expert(f"copy landing._ledger ({names}) from stdin (format csv, null '\\N')", handle)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
