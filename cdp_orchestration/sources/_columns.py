"""How a database holds a cursor: its column's type, and the condition that brings the rows which a pull must see.

The condition may bring more than that (the position leaves out what is older than itself), but never less: from the
position on, what has no cursor, and whatever can never be a position and so is read at every pull.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from cdp_orchestration.sources.cursors import FIRST_TIMES, YEAR_ONE_ENDS, Cursor, Kind, epoch_unit

_INTS = {1: (8,), 2: (16,), 3: (24,), 4: (32,), 8: (64,), 0: (32, 64)}
_FLOAT = 1.7976931348623157e308
# psycopg2's and the MySQL drivers' type codes: kind, and for numbers the bytes of an integer (0: no integer).
_POSTGRES: dict[int, tuple[Kind, int | None]] = {
    1082: ("time", None), 1114: ("time", None), 1184: ("time", None),
    21: ("number", 2), 23: ("number", 4), 20: ("number", 8), 26: ("number", 4), 1700: ("number", None),
    700: ("number", None), 701: ("number", None),
    25: ("text", None), 1043: ("text", None), 1042: ("text", None), 19: ("text", None),
}  # fmt: skip
_POSTGRES_UNKNOWN = 705
_POSTGRES_CATEGORIES: dict[str, Kind] = {"S": "text", "D": "time"}  # of types that extensions make, citext for one
_POSTGRES_FIRST_MADE = 16384
_MYSQL: dict[int, tuple[Kind, int | None]] = {
    7: ("time", None), 10: ("time", None), 12: ("time", None), 14: ("time", None),
    1: ("number", 1), 2: ("number", 2), 9: ("number", 3), 3: ("number", 4), 8: ("number", 8), 13: ("number", 0),
    0: ("number", None), 4: ("number", None), 5: ("number", None), 246: ("number", None),
}  # fmt: skip
_MYSQL_NONE = {11: "time", 16: "bit", 245: "json", 255: "geometry"}


@dataclass(frozen=True)
class Column:
    """A column's type as far as the database says: its kind, or the name of a type that no cursor can be.

    kind None: it has no type (SQLite), or a driver that we do not know says nothing; the values must show it.
    """

    kind: Kind | None = None
    refused: str | None = None
    extremes: frozenset[Any] = frozenset()


def described(connection: sa.Connection, description: Any) -> Column:
    """The column of one entry of a DBAPI cursor's description."""
    code, dialect = description[1], connection.dialect.name
    if dialect == "postgresql" and isinstance(code, int):
        if code in _POSTGRES:
            return _column(*_POSTGRES[code], [(description[4], description[5])])
        if code != _POSTGRES_UNKNOWN:
            found = sa.text("select format_type(oid, null), typcategory from pg_type where oid = cast(:code as oid)")
            name, category = (str(value) for value in connection.execute(found, {"code": code}).one())
            if code >= _POSTGRES_FIRST_MADE and category in _POSTGRES_CATEGORIES:
                return Column(_POSTGRES_CATEGORIES[category])
            return Column(refused=name)
    elif dialect in ("mysql", "mariadb") and isinstance(code, int):
        if code in _MYSQL:
            # MySQL gives the length of the text, with its point and, unless it is unsigned, its sign.
            digits, scale = (description[3] or 0) - bool(description[5]), description[5]
            return _column(*_MYSQL[code], [(digits, scale), (digits - 1, scale)])
        if code in _MYSQL_NONE:
            return Column(refused=_MYSQL_NONE[code])
    return Column(extremes=_extremes(0))


def _column(kind: Kind, size: int | None, digits: list[tuple[int | None, int | None]]) -> Column:
    """size: bytes of an integer. digits: what (precision, scale) of a decimal may be."""
    if kind != "number":
        return Column(kind)
    if size is not None:
        return Column(kind, extremes=_extremes(size))
    extremes: set[Any] = {_FLOAT, -_FLOAT}
    for precision, scale in digits:
        if precision and scale is not None and 0 <= scale < 100 and scale <= precision <= 1000:
            nines = Decimal(f"{'9' * (precision - scale)}.{'9' * scale}")
            extremes |= {nines, -nines}
    return Column(kind, extremes=frozenset(extremes))


def _extremes(size: int) -> frozenset[Any]:
    """First and last values of signed integers of so many bytes, and the last of unsigned ones."""
    found: set[Any] = set() if size else {_FLOAT, -_FLOAT}
    for bits in _INTS[size]:
        found |= {2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 2**bits - 1}
    return frozenset(found)


def condition(quoted: str, dialect: str, cursor: Cursor, last: Any) -> tuple[str, dict[str, Any]]:
    """SQL that is true of every row which the pull after `last` must see, and its parameters."""
    since = cursor.since(last)
    either = [f"{quoted} is null"]
    if cursor.kind == "time" and isinstance(last, str):
        # A time zone moves a date by less than a day; the spelling of what follows the date is not compared.
        since = "" if since <= datetime(1, 1, 3) else (since - timedelta(days=1)).date().isoformat()
        return " or ".join([f"{quoted} >= :since", *either, *_no_times(quoted, dialect)]), {"since": since}
    if cursor.kind == "text":
        # '' sorts after every number of SQLite's.
        either += [f"{quoted} in ('', ' ')", *([f"{quoted} < ''"] if dialect == "sqlite" else [])]
        return " or ".join([f"{quoted} >= :since", *either]), {"since": since}
    if cursor.kind == "number":
        if isinstance(last, str):
            return "", {}  # texts are no numbers to the database
        lowest, *others = sorted(value for value in cursor.extremes if value < 0)
        parameters = {f"extreme_{number}": value for number, value in enumerate(others)}
        # Not `<=`: PostgreSQL reads the least bigint as a numeric, and no index of a bigint serves that.
        parameters["lowest"] = lowest + 1 if isinstance(lowest, int) else lowest
        either += [f"{quoted} {'<' if isinstance(lowest, int) else '<='} :lowest"]
        either += [f"{quoted} = :{name}" for name in parameters if name != "lowest"]
        return " or ".join([f"{quoted} >= :since", *either]), {"since": since, **parameters}
    if isinstance(last, int | float | Decimal):
        unit = epoch_unit(last)
        return f"{quoted} >= :since or {quoted} is null or {quoted} <= {unit}", {
            "since": last - math.ceil(cursor.lag * unit)
        }
    zone = UTC if isinstance(last, datetime) and last.tzinfo else None
    parameters = {f"first_{number}": value.replace(tzinfo=zone) for number, value in enumerate(FIRST_TIMES)}
    either += [f"{quoted} < :year_one_ends", f"{quoted} in ({', '.join(f':{name}' for name in parameters)})"]
    parameters |= {"since": since.replace(tzinfo=zone), "year_one_ends": YEAR_ONE_ENDS.replace(tzinfo=zone)}
    return " or ".join([f"{quoted} >= :since", *either]), parameters


def before_all(column: Column, dialect: str) -> Any:
    """What `:since` is in a user's own query when nothing was read yet."""
    if column.kind == "time":
        return datetime.min
    # SQLite sorts every text after every number.
    return -(2**63) + 1 if column.kind == "number" or dialect == "sqlite" else ""


def _no_times(quoted: str, dialect: str) -> list[str]:
    """Conditions for texts that are no usable ISO times, wherever they sort: such rows are read at every pull. They are
    tried on every row of the table, so there are as few as will do."""
    part = "substring" if dialect == "mssql" else "substr"
    always = [
        f"{quoted} < '1970-01-02'",  # the first values of types; in SQLite also every number
        f"{quoted} not like '____-__-__%'",
        f"{part}({quoted}, 6, 5) in ('02-29', '02-30', '02-31', '04-31', '06-31', '09-31', '11-31')",
    ]
    if dialect == "sqlite":
        return [*always, f"julianday(substr({quoted}, 1, 19)) is null"]  # knows 31 days of every month
    return [
        *always,
        f"{part}({quoted}, 6, 2) not in ({_numbers(1, 12)})",
        f"{part}({quoted}, 9, 2) not in ({_numbers(1, 31)})",
        f"{part}({quoted}, 12, 2) not in ('', {_numbers(0, 23)})",
        f"{part}({quoted}, 15, 2) not in ('', {_numbers(0, 59)})",
    ]


def _numbers(first: int, last: int) -> str:
    return ", ".join(f"'{number:02}'" for number in range(first, last + 1))
