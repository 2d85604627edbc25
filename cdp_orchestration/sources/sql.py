"""Kind `sql`: tables or queries of a relational database, through SQLAlchemy (SQLite, PostgreSQL and the rest).

incremental: rows whose cursor column moved since the last pull; a lag looks back for rows that were committed late, and
             what landed before is remembered by hash, so the look back lands nothing twice.
snapshot:    the whole table each time it changed; staging finds the rows that say something new.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pydantic
import sqlalchemy as sa

from cdp_orchestration.errors import NeedsAPerson, TryAgain
from cdp_orchestration.landing.records import Page, Record
from cdp_orchestration.sources._columns import before_all, condition
from cdp_orchestration.sources._drivers import hold_any_value
from cdp_orchestration.sources._positions import Position
from cdp_orchestration.sources._relation import PAGE, Reading, SqlStream
from cdp_orchestration.sources.base import Source, SourceConfig


class SqlConfig(SourceConfig):
    url: pydantic.SecretStr = pydantic.Field(
        description="SQLAlchemy URL, e.g. postgresql+psycopg2://user:password@host/db."
    )
    optional: bool = pydantic.Field(False, description="An SQLite file that is not there is then an empty source.")
    streams: dict[str, SqlStream] = pydantic.Field(description="What is read, by stream name.")


class Sql(Source):
    kind: ClassVar[str] = "sql"
    Config: ClassVar[type[SourceConfig]] = SqlConfig

    def pull(self, stream: str, state: dict[str, Any], files: Mapping[str, str]) -> Iterator[Page]:
        """Pages of the stream's new rows. Raises TryAgain where the database does not answer, NeedsAPerson where the
        table or a column is not there."""
        options: SqlStream = self.config.streams[stream]
        url = self._url()
        if url is None:
            return
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        try:
            with self._connected(engine, url) as connection:
                hold_any_value(connection)
                reading = Reading(connection, options, stream)
                if options.is_incremental:
                    yield from _incremental(reading, state, self.now())
                else:
                    yield from _snapshot(reading, state)
        except sa.exc.DBAPIError as error:
            if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and not _is_ours(error):
                raise TryAgain(
                    f"stream '{stream}': reading from {_shown(url)} broke off: {_words(error)}. Run again."
                ) from None
            raise _unreadable(error, options, stream) from None
        finally:
            engine.dispose()

    def _url(self) -> sa.URL | None:
        try:
            url = sa.make_url(self.config.url.get_secret_value())
        except sa.exc.ArgumentError:
            raise NeedsAPerson(
                "field 'url' is not a database URL; write for example postgresql+psycopg2://user:password@host/db."
            ) from None
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            # Connecting would make an empty file.
            if not Path(url.database).exists():
                if self.config.optional:
                    return None
                raise NeedsAPerson(
                    f"field 'url': there is no SQLite file {url.database}. Correct the path, or set `optional: true` "
                    "if it may be missing."
                )
            url = url.set(database=f"file:{Path(url.database).absolute()}", query={"mode": "ro", "uri": "true"})
        return url

    @staticmethod
    def _connected(engine: sa.Engine, url: sa.URL) -> sa.Connection:
        try:
            connection = engine.connect()
        except sa.exc.OperationalError as error:
            raise TryAgain(
                f"{_shown(url)} does not answer: {_words(error)}. Check that it runs, that host, port and credentials in "
                "field 'url' are right, and that this machine may connect."
            ) from None
        except ModuleNotFoundError as error:
            raise NeedsAPerson(f"field 'url' needs the driver {error.name}: install it with pip.") from None
        return connection.execution_options(stream_results=True, max_row_buffer=PAGE)


def _snapshot(reading: Reading, state: dict[str, Any]) -> Iterator[Page]:
    """The whole table, unless it is what landed last. Read twice, as only the end shows whether it changed."""
    order = ", ".join(reading.quoted(column) for column in reading.options.key)
    digest = hashlib.sha256()
    for _, records in reading.rows(f" order by {order}"):
        for record in records:
            digest.update((record.payload or "").encode("utf-8", "surrogatepass"))
            digest.update(b"\n")
    position = {"digest": digest.hexdigest()}
    if position == state:
        return
    last: list[Record] = []
    for _, records in reading.rows(f" order by {order}"):
        if last:
            yield Page(last, position, safe=False)
        last = records
    if last:
        yield Page(last, position)


def _incremental(reading: Reading, state: dict[str, Any], now: datetime) -> Iterator[Page]:
    """Rows from the last cursor, less the lag, onwards; those that landed before are left out by their hash."""
    cursor, quoted = reading.cursor(state, now)
    position = Position.from_state(state, cursor)
    where, parameters = "", dict[str, Any]()
    if position.last is not None:
        where, parameters = condition(quoted, reading.dialect, cursor, position.last)
    elif reading.names_since:
        parameters = {"since": before_all(reading.column, reading.dialect)}
    at = reading.names.index(str(reading.options.cursor))
    keys = [reading.names.index(column) for column in reading.options.key]
    records: list[Record] = []
    for rows, read in reading.rows(f"{' where ' * bool(where)}{where} order by {quoted}", parameters):
        for row, record in zip(rows, read, strict=True):
            if position.is_new([row[key] for key in keys], row[at], record.payload or ""):
                records.append(record)
                if len(records) >= PAGE:
                    # A batch may end only where every row of this pull is in, as a cursor in between may have equals.
                    yield Page(records, {}, safe=False)
                    records = []
    yield Page(records, position.to_state(), notes=position.notes(str(reading.options.cursor)))


def _shown(url: sa.URL) -> str:
    """The database without its password."""
    return url.render_as_string(hide_password=True)


def _words(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split())


# MySQL says these by the same class of error as a lost connection: unknown column, ambiguous, twice the same name.
_MYSQL_OURS = (1052, 1054, 1060)


def _is_ours(error: sa.exc.DBAPIError) -> bool:
    """Whether the statement is at fault, which no second try corrects."""
    said = str(error.orig)
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return code in _MYSQL_OURS or any(
        words in said for words in ("no such table", "no such column", "syntax error", "ambiguous column", "incomplete input",
                                    "unrecognized token", "no such function", "misuse of")
    )  # fmt: skip


def _unreadable(error: sa.exc.DBAPIError, options: SqlStream, stream: str) -> NeedsAPerson:
    what = f"table '{options.table}'" if options.table else "its query"
    said = _words(error)
    remedy = "Correct `table`, `query`, `key` or `cursor`."
    if any(words in said.lower() for words in ("duplicate column", "ambiguous", "specified multiple times")):
        remedy = "Two of its columns have one name: give each a name of its own (select a.id as order_id, …)."
    return NeedsAPerson(f"stream '{stream}': {what} cannot be read: {said}. {remedy}")
