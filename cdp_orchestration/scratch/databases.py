"""Where a scratch warehouse is, beside the files of its home: on PostgreSQL a database of its own on the same server.

A database and not schemas with other names: models and macros name schemas, a user's own ones too, and what is connected to
another database cannot write into the real one, whatever it names.
"""

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.warehouse import target

NAME = re.compile(r"cdp_scratch_[0-9a-f]{12}")


def variables(name: str) -> dict[str, str]:
    """The environment in which processes find the scratch warehouse instead of the real one."""
    return {"PGDATABASE": name} if target() == "postgres" else {}


def make(name: str) -> None:
    """An empty database that sorts as the real one does. Raises NeedsAPerson where the engine cannot, or the user may not."""
    kind = target()
    if kind not in ("duckdb", "postgres"):
        raise NeedsAPerson(
            f"CDP_TARGET={kind}: no warehouse of the past can be built there yet. Use DuckDB or PostgreSQL."
        )
    if kind != "postgres":
        return
    import psycopg2
    import psycopg2.errors

    with _maintenance() as cursor:
        cursor.execute("select to_jsonb(known) from pg_database as known where datname = current_database()")
        settings = cursor.fetchone()[0]
        try:
            cursor.execute(f"create database {name} template template0 encoding 'UTF8' {_locale(settings)}")
        except psycopg2.errors.InsufficientPrivilege:
            raise NeedsAPerson(
                f"The user {os.environ['PGUSER']} may not create a database, and the past is built in one of its own, which is "
                f'dropped again. As an administrator: alter role "{os.environ["PGUSER"]}" createdb.'
            ) from None


def drop(name: str) -> None:
    """Nothing happens where it is gone already."""
    if target() == "postgres" and NAME.fullmatch(name):
        with _maintenance() as cursor:
            cursor.execute(f"drop database if exists {name} with (force)")


def _locale(settings: dict[str, Any]) -> str:
    """Upper and lower case, and sorting, as in the database with these settings (a row of pg_database)."""
    given = {"lc_collate": settings["datcollate"], "lc_ctype": settings["datctype"]}
    own = settings.get("datlocale") or settings.get("daticulocale")  # from PostgreSQL 17 on, and before
    if settings.get("datlocprovider") == "i":
        given |= {"locale_provider": "icu", "icu_locale": own}
    elif settings.get("datlocprovider") == "b":
        given |= {"locale_provider": "builtin", "builtin_locale": own}
    return " ".join(f"{name} '{value}'" for name, value in given.items() if value)


@contextmanager
def _maintenance() -> Iterator[Any]:
    import psycopg2

    with closing(psycopg2.connect(application_name="cdp", connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
