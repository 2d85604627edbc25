"""Kind `sql`: tables or queries of a relational database, through SQLAlchemy (SQLite, PostgreSQL and the rest).

incremental: rows whose cursor column moved since the last pull; a lag looks back for rows that were committed late, and
             what landed before is remembered by hash, so the look back lands nothing twice.
snapshot:    the whole table each time it changed; staging tells which rows say something new.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pydantic
import sqlalchemy as sa

from cdp_orchestration.errors import StopAndTell, TryAgain
from cdp_orchestration.records import Page, Record, json_object
from cdp_orchestration.sources import Source, SourceConfig

PAGE = 10_000


class SqlStream(pydantic.BaseModel):
    """One stream: a table or a query, and how to tell what is new in it."""

    model_config = pydantic.ConfigDict(extra="forbid")

    table: str | None = pydantic.Field(None, description="Table or view, e.g. orders or shop.orders.")
    query: str | None = pydantic.Field(None, description="A select statement, instead of a table.")
    key: list[str] = pydantic.Field(description="Columns that identify a row.", min_length=1)
    cursor: str | None = pydantic.Field(None, description="Column that grows whenever a row changes, e.g. updated_at.")
    lag_seconds: float = pydantic.Field(
        0, ge=0, description="How far to look back for late commits (numeric cursors: in their unit)."
    )
    mode: Literal["incremental", "snapshot"] | None = pydantic.Field(
        None, description="Default: incremental with a cursor."
    )

    @pydantic.model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either `table` or `query`")
        if self.mode == "incremental" and self.cursor is None:
            raise ValueError("mode incremental needs a `cursor` column")
        return self

    @property
    def is_incremental(self) -> bool:
        return (self.mode or ("incremental" if self.cursor else "snapshot")) == "incremental"


class SqlConfig(SourceConfig):
    url: pydantic.SecretStr = pydantic.Field(
        description="SQLAlchemy URL, e.g. postgresql+psycopg2://user:password@host/db."
    )
    optional: bool = pydantic.Field(False, description="An SQLite file that is not there is then an empty source.")
    streams: dict[str, SqlStream] = pydantic.Field(description="What is read, by stream name.")


class Sql(Source):
    kind: ClassVar[str] = "sql"
    Config: ClassVar[type[SourceConfig]] = SqlConfig

    def pull(self, stream: str, state: dict[str, Any], files: dict[str, str]) -> Iterator[Page]:
        """Pages of the stream's new rows. Raises TryAgain where the database does not answer, StopAndTell where the
        table or a column is not there."""
        options: SqlStream = self.config.streams[stream]
        url = self._url()
        if url is None:
            return
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        try:
            with self._connected(engine, url) as connection:
                read = _incremental if options.is_incremental else _snapshot
                yield from read(connection, options, state, stream)
        except sa.exc.OperationalError as error:
            if _says_missing(error):
                raise _missing(error, options, stream) from None
            raise TryAgain(
                f"stream '{stream}': reading from {_shown(url)} broke off: {_words(error)}. Run again."
            ) from None
        except sa.exc.ProgrammingError as error:
            raise _missing(error, options, stream) from None
        finally:
            engine.dispose()

    def _url(self) -> sa.URL | None:
        try:
            url = sa.make_url(self.config.url.get_secret_value())
        except sa.exc.ArgumentError:
            raise StopAndTell(
                "field 'url' is not a database URL; write for example postgresql+psycopg2://user:password@host/db."
            ) from None
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            # Connecting would make an empty file.
            if not Path(url.database).exists():
                if self.config.optional:
                    return None
                raise StopAndTell(
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
            raise StopAndTell(f"field 'url' needs the driver {error.name}: install it with pip.") from None
        return connection.execution_options(stream_results=True, max_row_buffer=PAGE)


def _snapshot(connection: sa.Connection, options: SqlStream, state: dict[str, Any], stream: str) -> Iterator[Page]:
    """The whole table, unless it is what landed last. Read twice, as only the end tells whether it changed."""
    order = ", ".join(_quoted(connection, column) for column in options.key)
    statement = f"select * from {_relation(connection, options)} order by {order}"
    digest = hashlib.sha256()
    for _, rows in _read(connection, statement, {}):
        for row in rows:
            digest.update(row.payload.encode() if row.payload else b"")
            digest.update(b"\n")
    position = {"digest": digest.hexdigest()}
    if position == state:
        return
    last: list[Record] = []
    for _, rows in _read(connection, statement, {}):
        if last:
            yield Page(last, position, safe=False)
        last = rows
    if last:
        yield Page(last, position)


def _incremental(connection: sa.Connection, options: SqlStream, state: dict[str, Any], stream: str) -> Iterator[Page]:
    """Rows from the last cursor, less the lag, onwards; those that landed before are left out by their hash."""
    cursor = str(options.cursor)
    quoted = _quoted(connection, cursor)
    relation = _relation(connection, options)
    where, parameters = "", {}
    if "last" in state:
        where = f" where {quoted} >= :since or {quoted} is null"
        parameters = {"since": _less(_from_state(state["last"]), options.lag_seconds)}
    statement = f"select * from {relation}{where} order by {quoted}"
    seen: dict[str, Any] = dict(state.get("seen", {}))
    last = _from_state(state["last"]) if "last" in state else None
    records: list[Record] = []
    for raw, rows in _read(connection, statement, parameters):
        for values, record in zip(raw, rows, strict=True):
            value = _column(values, cursor, options, stream)
            keys = [_column(values, column, options, stream) for column in options.key]
            mark = hashlib.md5(json_object(["k", "c"], [keys, value]).encode()).hexdigest()
            if mark in seen:
                continue
            seen[mark] = None if value is None else _to_state(value)
            if value is not None and (last is None or value > last):
                last = value
            records.append(record)
            if len(records) >= PAGE:
                # A batch may end only where every row of this pull is in, as a cursor in between may have equals.
                yield Page(records, {}, safe=False)
                records = []
    if records or last is not None:
        yield Page(records, _position(last, seen, options))


def _position(last: Any, seen: dict[str, Any], options: SqlStream) -> dict[str, Any]:
    """Where reading stands: the largest cursor, and the rows within the lag (or without a cursor) that landed."""
    if last is None:
        return {"seen": seen}
    since = _less(last, options.lag_seconds)
    kept = {mark: value for mark, value in seen.items() if value is None or _from_state(value) >= since}
    return {"last": _to_state(last), "seen": kept}


def _read(
    connection: sa.Connection, statement: str, parameters: dict[str, Any]
) -> Iterator[tuple[list[dict[str, Any]], list[Record]]]:
    # A query of the user's own may hold colons and percent signs: only :since is ours.
    text = sa.text(re.sub(r":(?!since\b)", r"\\:", statement))
    result = connection.execute(text, parameters)
    names = list(result.keys())
    for part in result.partitions(PAGE):
        yield [dict(zip(names, row, strict=True)) for row in part], [Record(json_object(names, row)) for row in part]


def _column(values: dict[str, Any], column: str, options: SqlStream, stream: str) -> Any:
    if column not in values:
        raise StopAndTell(
            f"stream '{stream}': there is no column '{column}' in {options.table or 'the query'} (columns: "
            f"{', '.join(values)}). Correct `key` or `cursor`."
        )
    return values[column]


def _relation(connection: sa.Connection, options: SqlStream) -> str:
    if options.query:
        return f"({options.query.strip().rstrip(';')}) as queried"
    return ".".join(_quoted(connection, part) for part in str(options.table).split("."))


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


_ISO = re.compile(r"^(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$")


def _less(value: Any, lag: float) -> Any:
    """`value` less the lag, of the same type (and, for ISO text, in the same spelling)."""
    if not lag:
        return value
    if isinstance(value, datetime):
        return value - timedelta(seconds=lag)
    if isinstance(value, date):
        return value - timedelta(days=-(-lag // 86400))
    if isinstance(value, str):
        found = _ISO.match(value)
        if not found:
            return value
        day, separator, clock, fraction, zone = found.groups()
        moment = datetime.fromisoformat(f"{day} {clock}") - timedelta(seconds=lag)
        digits = len(fraction or "") - 1
        text = moment.strftime(f"%Y-%m-%d{separator}%H:%M:%S")
        return text + (f".{'0' * digits}" if fraction else "") + (zone or "")
    if isinstance(value, Decimal):
        return value - Decimal(str(lag))
    return value - lag


def _to_state(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    return value if isinstance(value, str | int | float) else {"text": str(value)}


def _from_state(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    (kind, text), *_ = value.items()
    readers: dict[str, Any] = {
        "datetime": datetime.fromisoformat, "date": date.fromisoformat, "decimal": Decimal, "text": str,
    }  # fmt: skip
    return readers[kind](text)


def _shown(url: sa.URL) -> str:
    """The database without its password."""
    return url.render_as_string(hide_password=True)


def _words(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def _says_missing(error: sa.exc.DBAPIError) -> bool:
    return "no such table" in str(error.orig) or "no such column" in str(error.orig)


def _missing(error: sa.exc.DBAPIError, options: SqlStream, stream: str) -> StopAndTell:
    what = f"table '{options.table}'" if options.table else "its query"
    return StopAndTell(
        f"stream '{stream}': {what} cannot be read: {_words(error)}. Correct `table`, `query`, `key` or `cursor`."
    )
