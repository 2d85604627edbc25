"""A delivery plan: what the sync's destination should hold, minus what the ledger shows that it accepted there.

The rows are read from the warehouse in one query; all else happens in a DuckDB in memory, so that hashes are the same
whatever engine the warehouse is. What counts is the entry (plan_sql.py): rows with the same identifiers are one, as the
destination cannot tell them apart, and a row that was sent under an old address is removed under that address.

An attempt of unknown outcome (status failed, code 'unknown') makes its entry doubtful until a later operation of it is
accepted: wanted, it is sent again even if unchanged; not wanted, it is removed even if it was never accepted.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cdp_orchestration.delivery import plan_sql
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.delivery.mapping import Changed, Mapping, read_mapping
from cdp_orchestration.delivery.normalise import VERSION, normalise
from cdp_orchestration.delivery.places import NOWHERE, Place
from cdp_orchestration.delivery.sync import NO_GUARD, Sync
from cdp_orchestration.disk import whole_file
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import RelationMissing, Warehouse

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
_OURS = ("row_key", "profile_id", "consent_message_id")
_WORD = re.compile(r"[\w-]+")  # what a profile_id looks like
_ASKED_AT_ONCE = 5_000
_KEPT = 5  # plans hold the fields as they were sent: enough to look into, not an archive of personal data


@dataclass(frozen=True)
class Plan:
    """Counts of a computed plan; `freeze` writes its rows down.

    operations: owed rows by operation (add, update, remove). removed: removals that no addition of the same row
    follows. withheld: rows that may not leave, by reason. shared: rows that another row of the same identifiers stands for.
    members: rows of the model. held: entries that the destination holds now. elsewhere: entries that earlier addresses
    hold, or may hold. mapping: how rows become what is sent (None: all is removed). changed: how it differs from the one
    before, in words.
    """

    sync: Sync
    operations: dict[str, int]
    removed: int
    withheld: dict[str, int]
    shared: int
    members: int
    held: int
    elsewhere: int
    connection: duckdb.DuckDBPyConnection
    mapping: Mapping | None
    changed: Changed

    def check_guard(self) -> None:
        """Raises NeedsAPerson, with the numbers, where the sync's guard says that something must have gone wrong."""
        problem = self._problem()
        if problem:
            raise NeedsAPerson(
                f"{self.sync.name}: nothing was sent, because {problem} ({self.sync.where or 'its yaml'}). If that is right, "
                f"`cdp sync {self.sync.name} --allow-once` lets one delivery pass; if not, correct the model."
            )

    def _problem(self) -> str | None:
        guard = self.sync.guard
        if self.changed.lost:
            return f"what is sent lost something: {'; '.join(self.changed.lost)}"
        if guard.max_removed is not None and self.removed > guard.max_removed:
            return f"{self.removed} rows would be removed, more than guard.max_removed = {guard.max_removed}"
        if guard.max_removed_percent is None or self.held < max(guard.min_held, 1):
            return None
        if self.members == 0:
            return f"its model has no rows, while the destination holds {self.held}"
        percent = 100 * self.removed / self.held
        if percent <= guard.max_removed_percent:
            return None
        return (
            f"{self.removed} of the {self.held} rows held ({percent:.1f} %) would be removed, more than "
            f"guard.max_removed_percent = {guard.max_removed_percent:g}"
        )

    def freeze(self, folder: Path, run_id: str) -> Path:
        """Writes the plan to <folder>/<run_id>.parquet, whole or not at all, and returns the path.

        The newest five plans of a sync are kept, to look into. An unfinished one is never resumed: the next delivery
        writes down what was in flight and plans from the beginning. A second delivery of one run replaces the first one's plan.
        """
        path = folder / f"{_file_name(run_id)}.parquet"
        planned = self.connection.sql("select * from planned order by ordinal")
        reader: pa.RecordBatchReader = planned.to_arrow_reader(50_000)
        with whole_file(path) as handle, pq.ParquetWriter(handle, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
        older = sorted((p for p in folder.glob("*.parquet") if p != path), key=lambda p: (p.stat().st_mtime_ns, p.name))
        for leftover in [*older[: max(0, len(older) - _KEPT + 1)], *folder.glob(".*.tmp")]:
            leftover.unlink(missing_ok=True)
        return path


def plans_folder(home: Home, sync: str) -> Path:
    """Where a sync's frozen plans are."""
    return home.deliveries / "plans" / sync


@contextmanager
def planning(sync: Sync, warehouse: Warehouse, ledger: Ledger, place: Place) -> Iterator[Plan]:
    """The plan for that place as of now, not yet frozen. Raises NeedsAPerson naming the model for a null or duplicate
    row_key, missing columns, or a column type that cannot be sent."""
    ledger.prepare()
    rows = _in_formats(_plain(_should_hold(sync, warehouse), sync), sync)
    with _knowing(ledger, sync, place) as connection:
        connection.register("model", rows)
        _find_former_keys(connection, sync, rows.schema, warehouse)
        yield _planned(sync, rows.schema, ledger, place, connection)


@contextmanager
def emptying(sync: Sync, ledger: Ledger, place: Place) -> Iterator[Plan]:
    """The plan that removes all that the place holds, or may hold, of a sync; its model may be gone."""
    ledger.prepare()
    nothing = pa.table({name: pa.array([], pa.large_string()) for name in _OURS})
    removing = replace(
        sync, mode="mirror", consent="not_required", identifiers={"row_key": "row_key"}, formats={}, guard=NO_GUARD
    )
    with _knowing(ledger, removing, place) as connection:
        connection.register("model", nothing)
        connection.execute(_NO_FORMER_KEYS)
        yield replace(_planned(removing, nothing.schema, ledger, place, connection), mapping=None, changed=Changed())


def holdings(ledger: Ledger, sync: str, unless_adopted: Place = NOWHERE) -> dict[Place, int]:
    """How many entries of the sync each place holds, or may hold, where it is any."""
    ledger.prepare()
    with _knowing(ledger, Sync(sync, "", "", "mirror", "not_required"), unless_adopted) as connection:
        found = connection.execute(
            "select destination, address, count(*) from entries join places using (place) group by all order by all"
        ).fetchall()
    return {Place(destination, address): count for destination, address, count in found}


def backlog(sync: Sync, warehouse: Warehouse, home: Home, address: str | None = None) -> dict[str, int]:
    """What is owed: {add, update, remove, withheld, shared, held, elsewhere} in rows. Nothing is frozen or sent.

    address: where the destination is; None where it is not known: then as for the address that was used last.
    """
    ledger = Ledger(home.deliveries)
    place = Place(sync.destination, address) if address is not None else ledger.last_place(sync.name, sync.destination)
    with planning(sync, warehouse, ledger, place) as plan:
        counts = {"shared": plan.shared, "held": plan.held, "elsewhere": plan.elsewhere}
        return {**plan.operations, **counts, "withheld": sum(plan.withheld.values())}


@contextmanager
def _knowing(ledger: Ledger, sync: Sync, place: Place) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory with what the ledger says (plan_sql.ledger); `here` is the entries of that place."""
    with duckdb.connect(":memory:", config={"temp_directory": str(ledger.root / ".spill")}) as connection:
        with ledger.reading():
            connection.execute(plan_sql.ledger(ledger.relation(sync.name, place), sync.mode == "append"))
        here = plan_sql.place(*place.written())
        connection.execute(f"create temp table here as select * from entries where place = {here}")
        yield connection


def _planned(
    sync: Sync, schema: pa.Schema, ledger: Ledger, place: Place, connection: duckdb.DuckDBPyConnection
) -> Plan:
    connection.execute(plan_sql.wanted(sync, schema, VERSION))
    _check_keys(sync, connection)
    [(number,)] = connection.execute(f"select {plan_sql.place(*place.written())}").fetchall()
    resynced = ledger.decisions(sync.name).resynced.get(place, 0)
    connection.execute(
        plan_sql.PLANNED,
        {
            "sync": sync.name,
            "place": number,
            "resynced": resynced,
            "mirror": sync.mode == "mirror",
            "removes": sync.mode != "append",
            "updates": sync.mode not in ("append", "insert_only"),
            "append": sync.mode == "append",
        },
    )
    counts = dict(connection.execute("select operation, count(*) from planned group by all").fetchall())
    [row] = connection.execute(plan_sql.COUNTS, {"place": number}).fetchall()
    removed, _, shared, members, held, elsewhere = row
    mapping = Mapping.of(sync, schema, VERSION)
    return Plan(
        sync=sync,
        operations={operation: counts.get(operation, 0) for operation in ("add", "update", "remove")},
        removed=removed,
        withheld=dict(connection.execute(plan_sql.WITHHELD).fetchall()),
        shared=shared,
        members=members,
        held=held,
        elsewhere=elsewhere,
        connection=connection,
        mapping=mapping,
        changed=mapping.since(read_mapping(ledger.root, sync.name, place)),
    )


_NO_FORMER_KEYS = "create temp table former (row_key varchar, former_key varchar)"


def _find_former_keys(
    connection: duckdb.DuckDBPyConnection, sync: Sync, schema: pa.Schema, warehouse: Warehouse
) -> None:
    """Makes the table `former` (plan_sql.FORMER). The warehouse is asked only about keys that would be removed."""
    pairs: list[tuple[str, str]] = []
    if plan_sql.can_be_renamed(sync, schema):
        asked: set[str] = set()
        asking = [key for (key,) in connection.execute(plan_sql.UNWANTED).fetchall()]
        with suppress(RelationMissing):  # a warehouse without identity has nobody who could be renamed
            while asking := sorted({key for key in asking if _WORD.fullmatch(key)} - asked):
                asked.update(asking)
                found = [
                    (row["from_profile_id"], row["into_profile_id"])
                    for first in range(0, len(asking), _ASKED_AT_ONCE)
                    for row in warehouse.rows(plan_sql.renamed(asking[first : first + _ASKED_AT_ONCE])).to_pylist()
                ]
                pairs += found
                asking = [into for _, into in found]
    if not pairs:
        connection.execute(_NO_FORMER_KEYS)
        return
    columns = [pa.array(column, pa.string()) for column in zip(*pairs, strict=True)]
    connection.register("renamed", pa.table(columns, names=["from_profile_id", "into_profile_id"]))
    connection.execute(plan_sql.FORMER)


def _should_hold(sync: Sync, warehouse: Warehouse) -> pa.Table:
    """The model's rows, and per purpose the message that granted it: one query, so that a build cannot come between."""
    sql, parameters = plan_sql.should_hold(sync)
    try:
        return warehouse.rows(sql, parameters)
    except RelationMissing as error:
        raise NeedsAPerson(
            f"{sync.name}: {sync.relation} or profiles.consents is not in the warehouse yet: run `cdp run` first. {error}"
        ) from None


def _plain(rows: pa.Table, sync: Sync) -> pa.Table:
    """The rows with types that every engine's rendering agrees on. Raises NeedsAPerson for a column that has none."""
    model = f"{sync.relation} (declared in {sync.where})" if sync.where else sync.relation
    names = [name for name in rows.schema.names if not name.startswith(plan_sql.GRANTED)]
    missing = [name for name in (*_OURS, *sync.identifiers.values()) if name not in names]
    if missing:
        raise NeedsAPerson(
            f"{model} has no column '{missing[0]}'. A sync's model has {', '.join(_OURS)}, and the columns that the "
            "field 'identifiers' names: add it to the model, or correct the field."
        )
    for number, column in enumerate(rows.schema):
        kind = column.type
        if pa.types.is_timestamp(kind):
            naive = rows.column(number)
            if kind.tz:  # to UTC, then without zone
                naive = naive.cast(pa.timestamp("us", "UTC"), safe=False)
            rows = rows.set_column(number, column.name, naive.cast(pa.timestamp("us"), safe=False))
        elif any(is_text(kind) for is_text in _TEXT):
            rows = rows.set_column(number, column.name, rows.column(number).cast(pa.large_string()))
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise NeedsAPerson(
                f"{model}: column '{column.name}' has the type {kind}, which cannot be sent: cast it in the model to "
                "text, bigint, double, boolean or timestamp."
            )
    return rows


def _in_formats(rows: pa.Table, sync: Sync) -> pa.Table:
    """The rows, and a column for each identifier in the format that the destination wants."""
    for kind, format in sync.formats.items():
        written = rows.column(sync.identifiers[kind]).cast(pa.large_string()).dictionary_encode().combine_chunks()
        values = written.dictionary.to_pylist() if isinstance(written, pa.DictionaryArray) else []
        said = pa.array([normalise(format, value, sync.default_region) for value in values], pa.large_string())
        column = said.take(written.indices) if isinstance(written, pa.DictionaryArray) else pa.nulls(rows.num_rows)
        rows = rows.append_column(plan_sql.identifier_column(kind), column)
    return rows


def _check_keys(sync: Sync, connection: duckdb.DuckDBPyConnection) -> None:
    row = connection.execute(
        "select row_key, count(*), min(profile_id) from wanted group by row_key having row_key is null or count(*) > 1 "
        "order by row_key nulls first limit 1"
    ).fetchone()
    if row is None:
        return
    problem = (
        f"{row[1]} rows without a row_key (profile_id {row[2]})"
        if row[0] is None
        else f"row_key '{row[0]}' {row[1]} times"
    )
    raise NeedsAPerson(
        f"{sync.name}: nothing was sent, because {sync.relation} has {problem}. Each row of the model needs a row_key of its "
        "own; a dbt test (unique, not_null) on it would have held the build."
    )


def _file_name(run_id: str) -> str:
    """A run id as a file's name; one with other characters gets a hash, so that two do not meet."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", run_id) and os.path.basename(run_id) == run_id:
        return run_id
    return hashlib.sha256(run_id.encode()).hexdigest()[:32]
