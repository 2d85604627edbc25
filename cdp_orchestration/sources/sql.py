"""Kind `sql`: tables or queries of a relational database, through SQLAlchemy (SQLite, PostgreSQL and the rest).

incremental: rows whose cursor column moved since the last pull; a lag looks back for rows that were committed late, and
             what landed before is remembered by hash, so the look back lands nothing twice.
snapshot:    the whole table each time it changed; staging tells which rows say something new.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pydantic
import sqlalchemy as sa

from cdp_orchestration.errors import StopAndTell, TryAgain
from cdp_orchestration.records import Page, Record, Unheld, as_text, row_record
from cdp_orchestration.sources import Source, SourceConfig
from cdp_orchestration.sources._columns import Column, before_all, condition, described
from cdp_orchestration.sources._drivers import hold_any_value
from cdp_orchestration.sources._query import bare, names_since, relation_of
from cdp_orchestration.sources.cursors import Cursor, Kind, Position, days_first, kind_of, kind_of_all

PAGE = 10_000
LOOKED_AT = 1_000  # values of a column without a type, from which its kind is told

_RENAMED = re.compile(r".*:\d+", re.DOTALL)


class SqlStream(pydantic.BaseModel):
    """One stream: a table or a query, and how to tell what is new in it."""

    model_config = pydantic.ConfigDict(extra="forbid")

    table: str | None = pydantic.Field(None, description="Table or view, e.g. orders or shop.orders.")
    query: str | None = pydantic.Field(
        None,
        description="A select statement, instead of a table. `:since` in it is the reading position less the lag (before "
        "everything at the first pull); it may save work, and is not needed.",
    )
    key: list[str] = pydantic.Field(description="Columns that identify a row.", min_length=1)
    cursor: str | None = pydantic.Field(None, description="Column that grows whenever a row changes, e.g. updated_at.")
    cursor_type: Kind | None = pydantic.Field(
        None, description="time, number or text; where it is left out, the column's type or its values tell."
    )
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
        if self.cursor_type is not None and self.cursor is None:
            raise ValueError("`cursor_type` needs a `cursor` column")
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
                hold_any_value(connection)
                reading = _Reading(connection, options, stream)
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


def _snapshot(reading: "_Reading", state: dict[str, Any]) -> Iterator[Page]:
    """The whole table, unless it is what landed last. Read twice, as only the end tells whether it changed."""
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


def _incremental(reading: "_Reading", state: dict[str, Any], now: datetime) -> Iterator[Page]:
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


class _Reading:
    """One stream on an open connection: its relation, its columns, its rows. Raises StopAndTell where it is not what
    the stream's fields say."""

    def __init__(self, connection: sa.Connection, options: SqlStream, stream: str) -> None:
        self.connection, self.options, self.stream = connection, options, stream
        self.dialect = connection.dialect.name
        self.names_since = False
        if options.query is None:
            self.relation = ".".join(self.quoted(part) for part in str(options.table).split("."))
        else:
            try:
                parts = bare(options.query, self.dialect)
            except StopAndTell as problem:
                raise StopAndTell(f"stream '{stream}': {problem}") from None
            self.relation = relation_of(parts)
            self.names_since = names_since(parts)
            if self.names_since and not options.is_incremental:
                raise StopAndTell(
                    f"stream '{stream}': `query` asks for `:since`, the reading position, but a snapshot has none: give "
                    "the stream a `cursor`, or leave the condition out."
                )
        found = self._execute(" where 1 = 0", {})
        self.names = list(found.keys())
        description = list(found.cursor.description) if found.cursor else []
        found.close()
        self._refuse_doubles()
        for column in [*options.key, *([options.cursor] if options.cursor else [])]:
            if column not in self.names:
                raise StopAndTell(
                    f"stream '{stream}': there is no column '{column}' in {options.table or 'the query'} (columns: "
                    f"{', '.join(self.names)}). Correct `key` or `cursor`."
                )
        self.column = Column()
        if options.cursor:
            self.column = described(connection, description[self.names.index(options.cursor)])

    def quoted(self, name: str) -> str:
        """A column's name in the database's own quotes, where it needs any."""
        return self.connection.dialect.identifier_preparer.quote(name).replace(":", "\\:")

    def rows(self, rest: str, parameters: dict[str, Any] | None = None) -> Iterator[tuple[Sequence[Any], list[Record]]]:
        """Rows as they came and as records, a page at a time; `rest` follows the relation."""
        result = self._execute(rest, parameters or {}, streamed=True)
        keys = [(column, self.names.index(column)) for column in self.options.key]
        try:
            for part in result.partitions(PAGE):
                yield part, [self._record(row, keys) for row in part]
        except (ValueError, ArithmeticError) as error:
            raise StopAndTell(
                f"stream '{self.stream}': the database's driver cannot read a value of "
                f"{self.options.table or 'its query'}: {type(error).__name__}: {error}. Make that column a text in "
                "`query` (cast … as …)."
            ) from error

    def cursor(self, state: dict[str, Any], now: datetime) -> tuple[Cursor, str]:
        """How the stream's cursor is read, and the SQL that it is compared by."""
        name, declared = str(self.options.cursor), self.options.cursor_type
        quoted, kind = self.quoted(name), self.column.kind
        if self.column.refused == "uuid" and declared == "text":
            return Cursor("text", now), f"cast({quoted} as text)"
        if self.column.refused:
            raise self._cannot_serve(self.column.refused)
        if declared and kind in ("time", "number") and declared != kind and (declared, kind) != ("time", "number"):
            raise StopAndTell(
                f"stream '{self.stream}': field `cursor_type` says {declared}, but column '{name}' holds a {kind}: write "
                f"`cursor_type: {kind}`, or leave it out."
            )
        are_written = declared == "number" and kind != "number"
        if declared:
            kind = declared
        elif kind not in ("time", "number"):
            kind, are_written = self._kept_or_looked_at(state, quoted)
        lag, extremes = self.options.lag_seconds, self.column.extremes
        return Cursor(kind, now, lag, extremes, are_written, numbers_are_times=declared == "time"), quoted

    def _kept_or_looked_at(self, state: dict[str, Any], quoted: str) -> tuple[Kind | None, bool]:
        """What earlier pulls took the cursor for, and whether it is numbers that are written as texts. A guess that it is
        a text is looked at again: it may have been a lone placeholder among times to come."""
        kept: Kind | None = state.get("type")
        if kept in ("time", "number"):
            return kept, bool(state.get("texts"))
        some = sa.select(sa.text(quoted)).select_from(sa.text(self.relation))
        some = some.where(sa.text(f"{quoted} is not null")).limit(LOOKED_AT)
        parameters = {"since": before_all(self.column, self.dialect)} if self.names_since else {}
        values = list(self.connection.scalars(some, parameters))
        kind, are_written = kind_of_all(values)
        strange = [value for value in values if not isinstance(value, str | Unheld) and kind_of(value) is None]
        if kind is None and strange:
            raise self._cannot_serve(type(strange[0]).__name__)
        if kind == "text" and (example := days_first(values)):
            raise StopAndTell(
                f"stream '{self.stream}': column '{self.options.cursor}' holds texts such as '{example}', which do not sort as "
                "the times do: make it a time in `query` (or `cursor_type: text`, if they do grow)."
            )
        return kind or kept, are_written

    def _cannot_serve(self, type_name: str) -> StopAndTell:
        remedy = " If its values grow (version 7 does), set `cursor_type: text`." if type_name == "uuid" else ""
        return StopAndTell(
            f"stream '{self.stream}': column '{self.options.cursor}' is of type {type_name}, which cannot be a `cursor`: a "
            f"cursor is a time, a number or a text.{remedy} Name another column, or leave `cursor` out to read snapshots."
        )

    def _record(self, row: Sequence[Any], keys: list[tuple[str, int]]) -> Record:
        record = row_record(self.names, row, "")
        if record.error is None:
            return record
        key = ", ".join(f"{column} = {as_text(row[at])}" for column, at in keys)
        return Record(record.payload, f"row {key}{record.error}")

    def _refuse_doubles(self) -> None:
        """A row is one value a name: of two columns with one name, one would be lost without a word."""
        names = self.names
        if self.dialect == "sqlite" and self.options.query and any(_RENAMED.fullmatch(name) for name in names):
            # SQLite renames the second `id` of a subquery to `id:1`; by itself the query has its own names.
            with closing(self._execute("", {}, alone=True)) as alone:
                names = [name.lower() for name in alone.keys()]  # noqa: SIM118 - a result is no dictionary
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise self._doubles(", ".join(twice))

    def _doubles(self, names: str) -> StopAndTell:
        return StopAndTell(
            f"stream '{self.stream}': its query has two columns of one name ({names}), of which one would be lost: give "
            "each a name of its own (select a.id as order_id, …)."
        )

    def _execute(
        self, rest: str, parameters: dict[str, Any], streamed: bool = False, alone: bool = False
    ) -> sa.CursorResult[Any]:
        statement = self.relation.removeprefix("(").removesuffix(") as queried") if alone else ""
        if self.names_since:
            parameters = {"since": None, **parameters}
        return self.connection.execute(
            sa.text(statement or f"select * from {self.relation}{rest}"), parameters,
            execution_options={"stream_results": streamed},
        )  # fmt: skip


def _shown(url: sa.URL) -> str:
    """The database without its password."""
    return url.render_as_string(hide_password=True)


def _words(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split())


# MySQL says these by the same class of error as a lost connection: unknown column, ambiguous, twice the same name.
_MYSQL_OURS = (1052, 1054, 1060)


def _is_ours(error: sa.exc.DBAPIError) -> bool:
    """Whether the statement is at fault, which no second try mends."""
    said = str(error.orig)
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return code in _MYSQL_OURS or any(
        words in said for words in ("no such table", "no such column", "syntax error", "ambiguous column", "incomplete input",
                                    "unrecognized token", "no such function", "misuse of")
    )  # fmt: skip


def _unreadable(error: sa.exc.DBAPIError, options: SqlStream, stream: str) -> StopAndTell:
    what = f"table '{options.table}'" if options.table else "its query"
    said = _words(error)
    remedy = "Correct `table`, `query`, `key` or `cursor`."
    if any(words in said.lower() for words in ("duplicate column", "ambiguous", "specified multiple times")):
        remedy = "Two of its columns have one name: give each a name of its own (select a.id as order_id, …)."
    return StopAndTell(f"stream '{stream}': {what} cannot be read: {said}. {remedy}")
