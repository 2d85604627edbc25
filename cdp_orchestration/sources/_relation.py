"""One stream of a database on an open connection: its table or query, its columns, its rows."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Literal, Self

import pydantic
import sqlalchemy as sa

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.landing.records import Record, Unheld, as_text, row_record
from cdp_orchestration.sources._columns import Column, before_all, described
from cdp_orchestration.sources._query import bare, names_since, relation_of
from cdp_orchestration.sources.cursors import Cursor, Kind, days_first, kind_of, kind_of_all

PAGE = 10_000
LOOKED_AT = 1_000  # values of a column without a type, from which its kind is judged

_RENAMED = re.compile(r".*:\d+", re.DOTALL)


class SqlStream(pydantic.BaseModel):
    """One stream: a table or a query, and how to find what is new in it."""

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
        None, description="time, number or text; where it is left out, the column's type or its values decide."
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


class Reading:
    """One stream on an open connection: its relation, its columns, its rows. Raises NeedsAPerson where it is not what
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
            except NeedsAPerson as problem:
                raise NeedsAPerson(f"stream '{stream}': {problem}") from None
            self.relation = relation_of(parts)
            self.names_since = names_since(parts)
            if self.names_since and not options.is_incremental:
                raise NeedsAPerson(
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
                raise NeedsAPerson(
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
            raise NeedsAPerson(
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
            raise NeedsAPerson(
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
            raise NeedsAPerson(
                f"stream '{self.stream}': column '{self.options.cursor}' holds texts such as '{example}', which do not sort as "
                "the times do: make it a time in `query` (or `cursor_type: text`, if they do grow)."
            )
        return kind or kept, are_written

    def _cannot_serve(self, type_name: str) -> NeedsAPerson:
        remedy = " If its values grow (version 7 does), set `cursor_type: text`." if type_name == "uuid" else ""
        return NeedsAPerson(
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

    def _doubles(self, names: str) -> NeedsAPerson:
        return NeedsAPerson(
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
