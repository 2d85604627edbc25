"""Landing into Snowflake, BigQuery or Databricks, by dlt: each landed batch once.

    landing.<source>__<stream>   the records
    landing._batches             the manifests; a row here means that its batch is loaded
    landing._ledger              attempts at deliveries, each known by (sync, ledger_no); the numbers only rise

These engines have no transaction over a bulk load and its record, so a load replaces: what comes again (a crash came before
the record) takes the place of what is there, by its batch or number. Builds read up to the last recorded batch and no further.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cdp_orchestration import compacted
from cdp_orchestration.delivery.ledger import SCHEMA as LEDGER
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import SCHEMA, Batch, Landing

log = logging.getLogger("cdp")

BATCHES = pa.schema(
    [
        ("batch_id", pa.string()),
        ("batch_seq", pa.int64()),
        ("source", pa.string()),
        ("stream", pa.string()),
        ("records", pa.int64()),
        ("errors", pa.int64()),
        ("landed_at", pa.timestamp("us")),
    ]
)
_TYPES = {pa.string(): "text", pa.int64(): "bigint"}


def pipeline(home: Home, destination: Callable[[], Any], name: str) -> Any:
    """dlt's pipeline into the schema `landing` of a destination; its own files are under the home."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    os.environ["RESTORE_FROM_DESTINATION"] = "false"  # what is loaded, landing._batches says
    os.environ["DLT_DATA_DIR"] = str(home.root / "loading")
    import dlt  # reads those when it is imported

    folder = home.root / "loading" / "pipelines"
    return dlt.pipeline(f"cdp_{name}", pipelines_dir=str(folder), destination=destination(), dataset_name="landing")


def load(into: Any, home: Home, streams: list[tuple[str, str]], zoned: bool = False) -> None:
    """Loads what is not recorded yet. `zoned`: the engine's times without a zone are not what the models use.

    Raises NeedsAPerson where the database belongs to another home, or the counts are not those of the manifests.
    """
    into.abort_packages()  # of a load that died: it is made again, from what is recorded
    loader = _Loader(into, zoned)
    landing, ledger = Landing(home.landing), Ledger(home.deliveries)
    with landing.reading():
        _load_landing(loader, home, landing.batches(), streams)
    with ledger.reading():
        _load_ledger(loader, ledger)


def _load_landing(loader: "_Loader", home: Home, batches: list[Batch], streams: list[tuple[str, str]]) -> None:
    loaded = dict(loader.rows("_batches", "batch_id, batch_seq"))
    foreign = sorted(set(loaded) - {batch.batch_id for batch in batches}, key=lambda batch_id: loaded[batch_id])
    if foreign:
        raise NeedsAPerson(
            f"The database holds batch {foreign[0]}, which is not in {home.landing}: it belongs to another CDP_HOME, or "
            "landed files were removed. Give this CDP_HOME a database of its own, or go back to the one it belongs to."
        )
    due = [b for b in batches if b.batch_id not in loaded and (b.source, b.stream) in streams]
    by_table: dict[str, list[Batch]] = {f"{source}__{stream}": [] for source, stream in streams}
    for batch in due:
        by_table[f"{batch.source}__{batch.stream}"].append(batch)
    loader.replace(
        {
            table: (SCHEMA, ["_batch_id"], partial(_records, theirs))
            for table, theirs in by_table.items()
            if theirs or not loader.exists(table)
        }
    )
    for table, theirs in by_table.items():
        _count(loader, table, theirs)
    rows = [{name: getattr(batch, name) for name in BATCHES.names} for batch in due]
    if due or not loader.exists("_batches"):
        loader.replace({"_batches": (BATCHES, ["batch_id"], lambda: [pa.Table.from_pylist(rows, BATCHES)])})
    for batch in due:
        log.info(f"loaded {batch.source}.{batch.stream}: batch {batch.batch_seq}, {batch.records} records")


def _count(loader: "_Loader", table: str, batches: list[Batch]) -> None:
    if not batches:
        return
    first = min(batch.batch_seq for batch in batches)
    found = dict(loader.rows(table, "_batch_id, count(*)", f"where _batch_seq >= {first} group by _batch_id"))
    for batch in batches:
        if found.get(batch.batch_id, 0) != batch.records:
            raise NeedsAPerson(
                f"{batch.path}: {found.get(batch.batch_id, 0)} records were loaded, but its manifest says {batch.records}. "
                "Restore the file from a backup; builds do not read it until the counts agree."
            )


def _load_ledger(loader: "_Loader", ledger: Ledger) -> None:
    known = dict(loader.rows("_ledger", "sync, max(ledger_no)", "group by sync"))
    due = {sync: files for sync in ledger.syncs() if (files := ledger.files(sync, known.get(sync) or 0))}
    if due or not loader.has("_ledger", LEDGER):
        loader.replace({"_ledger": (LEDGER, ["sync", "ledger_no"], partial(_attempts, due, known))})


def _records(batches: list[Batch]) -> Iterator[pa.Table]:
    for batch in batches:
        yield from batch.parts()


def _attempts(due: dict[str, list[Path]], known: dict[str, int]) -> Iterator[pa.Table]:
    for sync, files in due.items():
        for path in files:
            for part in compacted.read_rows(path, LEDGER):
                yield part.filter(pc.greater(part.column("ledger_no"), known.get(sync) or 0))


class _Loader:
    def __init__(self, into: Any, zoned: bool) -> None:
        self.into = into
        self.zoned = zoned

    def replace(self, tables: dict[str, tuple[pa.Schema, list[str], Callable[[], Iterable[pa.Table]]]]) -> None:
        """Per table: its schema, the key by which what comes again is replaced, and what comes."""
        import dlt

        if not tables:
            return
        self.into.run(
            [
                dlt.resource(
                    self._rows(schema, parts), name=table, table_name=table, columns=self._columns(schema), merge_key=key,
                    write_disposition={"disposition": "merge", "strategy": "delete-insert"},
                )
                for table, (schema, key, parts) in tables.items()
            ],
            loader_file_format="parquet",
        )  # fmt: skip

    def _rows(self, schema: pa.Schema, parts: Callable[[], Iterable[pa.Table]]) -> Callable[[], Iterator[Any]]:
        def rows() -> Iterator[Any]:
            for part in chain(
                [schema.empty_table()], parts()
            ):  # the empty one makes the table, even where nothing comes
                yield part.cast(self._zoned(schema)) if self.zoned else part

        return rows

    def _zoned(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema(
            [
                field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
                for field in schema
            ]
        )

    def _columns(self, schema: pa.Schema) -> dict[str, Any]:
        return {
            field.name: {"name": field.name, "data_type": _TYPES[field.type], "nullable": True}
            if field.type in _TYPES
            else {
                "name": field.name,
                "data_type": "timestamp",
                "timezone": self.zoned,
                "precision": 6,
                "nullable": True,
            }
            for field in schema
        }

    def exists(self, table: str) -> bool:
        return self._query(table, "1", "where 1 = 0") is not None

    def has(self, table: str, schema: pa.Schema) -> bool:
        """Whether the table is there with these columns; an earlier version may have made it without some."""
        found = self._query(table, "*", "where 1 = 0", described=True)
        return found is not None and set(schema.names) <= {name for (name,) in found}

    def rows(self, table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        """What a landed table holds; nothing where it is not there."""
        return self._query(table, columns, rest) or []

    def _query(self, table: str, columns: str, rest: str, described: bool = False) -> list[tuple[Any, ...]] | None:
        """Rows, or the names of their columns; None where the table is not there."""
        from dlt.destinations.exceptions import DatabaseUndefinedRelation

        with self.into.sql_client() as client:
            try:
                with client.execute_query(
                    f"select {columns} from {client.make_qualified_table_name(table)} {rest}"
                ) as cursor:
                    if described:
                        return [(column[0].lower(),) for column in cursor.description or []]
                    return [tuple(row) for row in cursor.fetchall()]
            except DatabaseUndefinedRelation:
                return None
