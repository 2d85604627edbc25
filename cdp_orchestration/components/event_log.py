"""Dagster's event log for a pass in this process: the same SQLite files, through one connection each.

Dagster's own storage opens an engine and a connection for each statement and waits for the disk at each commit: that is a
third of the time of a pass with nothing new. The files and their tables stay Dagster's, so the UI reads them as ever.
It relies on private members of the pinned Dagster (`_connect`, `_db_lock`, `_initialized_dbs`): look here when the pin moves.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

BUSY_TIMEOUT_SECONDS = 60


def instance_of(dagster_home: Path) -> dg.DagsterInstance:
    """Dagster's instance of the home, as dagster.yaml there says, for runs that this process executes itself: with this
    event log where the storage is Dagster's own SQLite, and without a capture of what the steps print (`cdp` writes that
    to logs/cdp.log)."""
    overrides: dict[str, Any] = {
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        }
    }
    ref = InstanceRef.from_dir(str(dagster_home))
    if ref.storage_data and ref.storage_data.class_name == "DagsterSqliteStorage":
        overrides["event_log_storage"] = {
            "module": __name__,
            "class": OneConnectionEventLog.__name__,
            "config": {"base_dir": str(dagster_home / "history" / "runs")},
        }
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(dagster_home), overrides=overrides))


class OneConnectionEventLog(SqliteEventLogStorage):
    """Keeps an engine with one connection for each file until it is disposed of."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._engines: dict[str, sa.Engine] = {}
        self._tables: set[str] = set()
        super().__init__(*arguments, **more)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "OneConnectionEventLog":
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            if shard not in self._engines:
                self._engines[shard] = self._opened(shard)
            with self._engines[shard].connect() as connection, connection.begin():
                yield connection

    def _opened(self, shard: str) -> sa.Engine:
        address, patience = self.conn_string_for_shard(shard), {"timeout": BUSY_TIMEOUT_SECONDS}
        if shard not in self._initialized_dbs:
            self._initdb(sa.create_engine(address, poolclass=sa.NullPool, connect_args=patience))
            self._initialized_dbs.add(shard)
        engine = sa.create_engine(
            address, poolclass=sa.StaticPool, connect_args={**patience, "check_same_thread": False}
        )
        sa.event.listen(engine, "connect", _without_waiting_for_the_disk)
        return engine

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
        super().dispose()


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    """With a write-ahead log, a crash of the process loses nothing, and one of the machine the last events at most."""
    connection.execute("pragma synchronous = normal")
