"""What drivers cannot hold, one value at a time: without this, one such value loses every row that comes with it.

A driver raises where a value fits no Python type (a year BC, a text that is no Unicode) and its fetch gives no row at
all. Here such a value becomes an Unheld, and the row that holds it is refused alone. `infinity` is a time to its
database, and the text "infinity" to us.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from cdp_orchestration.landing.records import Unheld

YEARS = "it lies outside the years 1 to 9999"


def hold_any_value(connection: sa.Connection) -> None:
    """Makes the driver of this one connection hand over every value that its database can hold."""
    raw = connection.connection.dbapi_connection
    if connection.dialect.driver == "psycopg2":
        _for_psycopg2(raw)
    elif connection.dialect.name == "sqlite":
        raw.text_factory = _text  # type: ignore[union-attr]


def _text(content: bytes) -> Any:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return Unheld(content.decode(errors="replace"), "it is not valid UTF-8")


# Per type: its oid, the oid of its arrays, and why a value is not held.
_POSTGRES = {
    "date": (1082, 1182, YEARS),
    "timestamp": (1114, 1115, YEARS),
    "timestamptz": (1184, 1185, YEARS),
    "time": (1083, 1183, "it is no time of one day"),
    "timetz": (1266, 1270, "it is no time of one day"),
    "interval": (1186, 1187, "it is longer than a duration can be"),
    "json": (114, 199, "it is JSON that cannot be read"),
    "jsonb": (3802, 3807, "it is JSON that cannot be read"),
}


def _for_psycopg2(raw: Any) -> None:
    from psycopg2 import extensions

    for name, (oid, array, why) in _POSTGRES.items():
        # What this connection reads the type by already, if SQLAlchemy gave it something of its own.
        usual = raw.string_types.get(oid) or extensions.string_types[oid]
        caster = extensions.new_type((oid,), name, _forgiving(usual, why))
        extensions.register_type(caster, raw)
        extensions.register_type(extensions.new_array_type((array,), f"{name}[]", caster), raw)


def _forgiving(usual: Callable[..., Any], why: str) -> Callable[..., Any]:
    def cast(text: str | None, cursor: Any) -> Any:
        if text in ("infinity", "-infinity"):
            return text
        try:
            return usual(text, cursor)
        except Exception:  # ValueError, OverflowError, RecursionError, the driver's own: all say the same
            return Unheld(str(text), why)

    return cast
