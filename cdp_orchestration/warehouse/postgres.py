"""PostgreSQL 15 and later, found by its own standard variables (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE).

One writer at a time by an advisory lock, which the server frees when its holder's connection ends. What landed comes in by
COPY (postgres_load.py). One database belongs to one CDP_HOME.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import psycopg2.errors
import pyarrow as pa

from cdp_orchestration.errors import NeedsAPerson, TryAgain
from cdp_orchestration.home import Home
from cdp_orchestration.project import layers
from cdp_orchestration.warehouse import postgres_load
from cdp_orchestration.warehouse.engine import PORTION, Cursor, NothingBuilt, QueryFailed, RelationMissing

log = logging.getLogger("cdp")

SCHEMAS = ("landing", *layers.SCHEMAS)
LOCK = 4_271_009_001  # any number; the same in every process
NEEDED = ("PGHOST", "PGUSER", "PGDATABASE")
# type oid: Arrow type. What is missing here comes out as a type that delivery refuses with the column's name.
TYPES = {16: pa.bool_(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 25: pa.string(), 700: pa.float32(),
         701: pa.float64(), 1042: pa.string(), 1043: pa.string(), 1082: pa.date32(), 1114: pa.timestamp("us"),
         1184: pa.timestamp("us", "UTC")}  # fmt: skip


class PostgresReading:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> Cursor:
        return self._executed(self._connection.cursor(), sql, parameters)

    @staticmethod
    def _executed(cursor: Any, sql: str, parameters: Sequence[object] | None) -> Any:
        try:
            if parameters:
                cursor.execute(sql.replace("%", "%%").replace("?", "%s"), list(parameters))
            else:
                cursor.execute(sql)  # a ? in it stands in some text
        except (
            psycopg2.errors.UndefinedTable,
            psycopg2.errors.UndefinedColumn,
            psycopg2.errors.InvalidSchemaName,
        ) as error:
            raise RelationMissing(str(error).strip()) from None
        except psycopg2.Error as error:
            raise QueryFailed(str(error).strip()) from None
        return cursor

    def arrow(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        cursor = self.execute(sql, parameters)
        rows = cursor.fetchall()
        columns = list(zip(*rows, strict=True)) if rows else [() for _ in cursor.description or []]
        arrays, names = [], []
        for column, values in zip(cursor.description or [], columns, strict=True):
            kind = TYPES.get(column.type_code)
            if column.type_code == 1700:  # numeric
                arrays.append(pa.array(values, None if any(v is not None for v in values) else pa.decimal128(38, 9)))
            elif kind is None:
                arrays.append(pa.array([None if v is None else str(v).encode() for v in values], pa.binary()))
            else:
                arrays.append(pa.array(values, kind))
            names.append(column.name)
        return pa.Table.from_arrays(arrays, names=names)

    def portions(self, sql: str, parameters: Sequence[object] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        # Any other cursor takes the whole result at once. `withhold`, because no transaction is open.
        with self._connection.cursor("cdp_portions", withhold=True) as cursor:
            self._executed(cursor, sql, parameters)
            while rows := cursor.fetchmany(PORTION):
                yield rows


class Postgres:
    name = "postgres"
    always_full = False

    def __init__(self, home: Home) -> None:
        self.home = home

    def where(self) -> str:
        return _where()

    def configured(self) -> None:
        missing = [name for name in NEEDED if not os.environ.get(name)]
        if missing:
            raise NeedsAPerson(
                f"CDP_TARGET=postgres needs {', '.join(missing)}: set {'it' if len(missing) == 1 else 'them'} in the "
                "environment or in a .env file next to pyproject.toml (also PGPORT and PGPASSWORD where they are not usual)."
            )
        if not (os.environ.get("PGPORT") or "5432").isdecimal():
            raise NeedsAPerson(f"PGPORT={os.environ['PGPORT']} is no port: set it to a number, or leave it out (5432).")

    def check(self) -> None:
        with self._connected() as connection, connection.cursor() as cursor:
            if connection.server_version < 150000:
                raise NeedsAPerson(
                    f"{_where()} is PostgreSQL {connection.server_version // 10000}; version 15 or later is needed."
                )
            cursor.execute("select pg_encoding_to_char(encoding) from pg_database where datname = current_database()")
            [(encoding,)] = cursor.fetchall()
            if encoding != "UTF8":
                raise NeedsAPerson(f"{_where()} has the encoding {encoding}: make one with `createdb --encoding UTF8`.")
            _check_rights(cursor)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        self.configured()
        try:
            connection = psycopg2.connect(application_name="cdp", connect_timeout=10)
        except psycopg2.OperationalError as error:
            answer = " ".join(str(error).split())
            if any(word in answer for word in ("authentication failed", "does not exist", "no password supplied")):
                raise NeedsAPerson(
                    f"{_where()} cannot be opened: {answer}. Check PGUSER, PGPASSWORD, PGDATABASE."
                ) from None
            raise TryAgain(
                f"{_where()} cannot be reached: {answer}. Is the server running, and are PGHOST and PGPORT right?"
            ) from None
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "set jit = off"
            )  # compiling the expressions of a staging view takes longer than a look at it
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _locked(self, connection: Any, function: str, what: str) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute(f"select pg_try_advisory_lock{function}(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                log.info(f"Another process is using the warehouse; waiting to {what}.")
                cursor.execute(f"select pg_advisory_lock{function}(%s)", [LOCK])
        yield  # the lock ends with the connection

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._connected() as connection, self._locked(connection, "", "write"):
            self._wait_for_dbt(connection)
            yield

    def _wait_for_dbt(self, connection: Any) -> None:
        """A dbt process may outlive the step that held the lock for it: it is waited for."""
        logged = False
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    "select count(*) from pg_stat_activity where application_name = 'cdp dbt' and datname = current_database()"
                )
                if not cursor.fetchone()[0]:
                    return
            if not logged:
                log.info("A dbt run of an earlier build, or one outside cdp, is still at work; waiting for it to end.")
                logged = True
            time.sleep(0.5)

    @contextmanager
    def reading(self) -> Iterator[PostgresReading]:
        with self._connected() as connection, self._locked(connection, "_shared", "read"):
            connection.set_session(readonly=True)
            reading = PostgresReading(connection)
            if not _built(reading):
                raise NothingBuilt(f"There is no warehouse in {_where()} yet: run `cdp run` (or `cdp demo`) first.")
            yield reading

    def exists(self) -> bool:
        with self._connected() as connection:
            return _built(PostgresReading(connection))

    def load(self, streams: list[tuple[str, str]]) -> None:
        with self._connected() as connection, self._locked(connection, "", "load"):
            try:
                postgres_load.load(connection, self.home, streams)
            except psycopg2.Error as error:
                with suppress(psycopg2.Error):
                    connection.rollback()
                raise TryAgain(f"{_where()}: loading what landed failed: {' '.join(str(error).split())}") from None

    def copy_to(self, file: Path) -> None:
        with self.reading() as reading, duckdb.connect(str(file)) as copy:
            names = reading.execute(
                "select table_schema, table_name from information_schema.tables where table_schema = any(?) "
                "order by 1, 2", [list(layers.SCHEMAS)]).fetchall()  # fmt: skip
            for schema, name in names:
                copy.execute(f'create schema if not exists "{schema}"')
                copy.register("given", reading.arrow(f'select * from "{schema}"."{name}"'))
                copy.execute(f'create table "{schema}"."{name}" as select * from given')
                copy.unregister("given")

    def remove(self) -> None:
        with self.writing(), self._connected() as connection, connection.cursor() as cursor:
            for schema in SCHEMAS:
                cursor.execute(f"drop schema if exists {schema} cascade")


def _check_rights(cursor: Any) -> None:
    """May this user make, and write in, all of our schemas?"""
    user, database = os.environ["PGUSER"], os.environ["PGDATABASE"]
    cursor.execute(
        "select name, oid is not null, coalesce(has_schema_privilege(oid, 'create'), false) "
        "and coalesce(has_schema_privilege(oid, 'usage'), false), has_database_privilege(current_database(), 'create') "
        "from unnest(%s) as wanted (name) left join pg_namespace on nspname = name", [list(SCHEMAS)])  # fmt: skip
    schemas = cursor.fetchall()
    missing = [name for name, there, _, may_create in schemas if not there and not may_create]
    if missing:
        raise NeedsAPerson(
            f"{_where()}: the user {user} may not create the schemas {', '.join(missing)}. As its owner: "
            f'grant create on database "{database}" to "{user}".'
        )
    closed = [name for name, there, usable, _ in schemas if there and not usable]
    if closed:
        raise NeedsAPerson(
            f"{_where()}: the user {user} has no rights in the schemas {', '.join(closed)}. As their owner: "
            f'grant usage, create on schema {", ".join(closed)} to "{user}".'
        )
    cursor.execute(
        "select min(relnamespace::regnamespace || '.' || relname), min(pg_get_userbyid(relowner)), count(*) from pg_class "
        "where relnamespace::regnamespace::text = any(%s) and relkind in ('r', 'v') and not pg_has_role(relowner, 'usage')",
        [list(SCHEMAS)])  # fmt: skip
    [(example, owner, count)] = cursor.fetchall()
    if count:
        raise NeedsAPerson(
            f"{_where()}: {count} relations, {example} for one, belong to another user, and the user {user} cannot replace "
            f'them. Run as that user, or as an administrator: grant "{owner}" to "{user}".'
        )


def _built(reading: PostgresReading) -> bool:
    row = reading.execute("select to_regclass('staging.builds') is not null").fetchone()
    return bool(row and row[0])


def _where() -> str:
    return (
        f"PostgreSQL database {os.environ.get('PGDATABASE')} at {os.environ.get('PGHOST')}:"
        f"{os.environ.get('PGPORT') or '5432'}"
    )
