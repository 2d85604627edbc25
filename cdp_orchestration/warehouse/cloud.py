"""Snowflake, BigQuery and Databricks, found by the vendors' own variables. docs/engines.md says what of this is proven.

One database (project, catalog) belongs to one CDP_HOME, whose lock file keeps writers apart. What landed comes in by dlt
(cloud_load.py).
"""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import pyarrow as pa

from cdp_orchestration.errors import NeedsAPerson, TryAgain
from cdp_orchestration.home import Home
from cdp_orchestration.project import layers
from cdp_orchestration.warehouse import cloud_load, file_lock
from cdp_orchestration.warehouse.engine import PORTION, Cursor, NothingBuilt, QueryFailed, RelationMissing

SCHEMAS = ("landing", "landing_staging", *layers.SCHEMAS)  # landing_staging is dlt's
# What the drivers say of credentials that are wrong, rather than of a server that does not answer.
REFUSED = ("password", "credential", "unauthorized", "denied", "forbidden", "authentication", "jwt", "invalid token")


def _snowflake() -> Any:
    import dlt

    given = {
        "host": "SNOWFLAKE_ACCOUNT", "username": "SNOWFLAKE_USER", "password": "SNOWFLAKE_PASSWORD", "role": "SNOWFLAKE_ROLE",
        "private_key_path": "SNOWFLAKE_PRIVATE_KEY_PATH", "private_key_passphrase": "PRIVATE_KEY_PASSPHRASE",
        "warehouse": "SNOWFLAKE_WAREHOUSE", "database": "SNOWFLAKE_DATABASE",
    }  # fmt: skip
    values = {name: os.environ[variable] for name, variable in given.items() if os.environ.get(variable)}
    return dlt.destinations.snowflake(credentials=values)


def _bigquery() -> Any:
    import dlt

    file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return dlt.destinations.bigquery(
        credentials=Path(file).read_text() if file else None,  # type: ignore[arg-type]
        location=os.environ["BIGQUERY_LOCATION"],
        project_id=os.environ["GOOGLE_CLOUD_PROJECT"],
    )


def _databricks() -> Any:
    import dlt

    return dlt.destinations.databricks(
        credentials={
            "server_hostname": os.environ["DATABRICKS_HOST"].removeprefix("https://").rstrip("/"),
            "http_path": os.environ["DATABRICKS_HTTP_PATH"],
            "access_token": os.environ["DATABRICKS_TOKEN"],
            "catalog": os.environ["DATABRICKS_CATALOG"],
            "connection_parameters": {"_retry_stop_after_attempts_duration": 60},  # the driver's own is 15 minutes
        }
    )


@dataclass(frozen=True)
class Vendor:
    """What distinguishes the vendors: the variables that must be there, those of which one must, and how dlt gets in."""

    needed: tuple[str, ...]
    destination: Callable[[], Any]
    database: str
    either: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    zoned: bool = False


VENDORS = {
    "snowflake": Vendor(
        needed=("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER", "SNOWFLAKE_ROLE", "SNOWFLAKE_WAREHOUSE", "SNOWFLAKE_DATABASE"),
        either=("SNOWFLAKE_PASSWORD", "SNOWFLAKE_PRIVATE_KEY_PATH"),
        files=("SNOWFLAKE_PRIVATE_KEY_PATH",),
        destination=_snowflake,
        database="SNOWFLAKE_DATABASE",
    ),
    "bigquery": Vendor(
        needed=("GOOGLE_CLOUD_PROJECT", "BIGQUERY_LOCATION"),
        files=("GOOGLE_APPLICATION_CREDENTIALS",),
        destination=_bigquery,
        database="GOOGLE_CLOUD_PROJECT",
        zoned=True,
    ),
    "databricks": Vendor(
        needed=("DATABRICKS_HOST", "DATABRICKS_HTTP_PATH", "DATABRICKS_TOKEN", "DATABRICKS_CATALOG"),
        destination=_databricks,
        database="DATABRICKS_CATALOG",
    ),
}


class CloudReading:
    """Reads through dlt's client, which speaks to each vendor's driver."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @contextmanager
    def _asked(self, sql: str, parameters: Sequence[object] | None) -> Iterator[Any]:
        from dlt.destinations.exceptions import DatabaseException, DatabaseUndefinedRelation

        if parameters:
            sql = sql.replace("%", "%%").replace("?", "%s")
        try:
            with self._client.execute_query(sql, *(parameters or [])) as cursor:
                yield cursor
        except DatabaseUndefinedRelation as error:
            raise RelationMissing(str(error).strip()) from None
        except DatabaseException as error:
            raise QueryFailed(str(error).strip()) from None

    def execute(self, sql: str, parameters: Sequence[object] | None = None) -> Cursor:
        with self._asked(sql, parameters) as cursor:
            return _Rows([tuple(row) for row in cursor.fetchall()], cursor.description)

    def arrow(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        with self._asked(sql, parameters) as cursor:
            table = cursor.arrow()
        return table.rename_columns([name.lower() for name in table.column_names])  # Snowflake's are in capitals

    def portions(self, sql: str, parameters: Sequence[object] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        with self._asked(sql, parameters) as cursor:
            while rows := cursor.fetchmany(PORTION):
                yield [tuple(row) for row in rows]


class _Rows:
    def __init__(self, rows: list[tuple[Any, ...]], description: Sequence[Any] | None) -> None:
        self._rows = rows
        self.description = [(column[0].lower(), *column[1:]) for column in description or []]

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None


class Cloud:
    always_full = False

    def __init__(self, home: Home, name: str) -> None:
        self.home = home
        self.name = name
        self.vendor = VENDORS[name]

    def where(self) -> str:
        return self._where()

    def check(self) -> None:
        self.configured()
        with self._client() as client:
            client.execute_sql("select 1")

    def configured(self) -> None:
        """The variables are there, and so are the files that they name. Raises NeedsAPerson."""
        vendor = self.vendor
        missing = [name for name in vendor.needed if not os.environ.get(name)]
        if vendor.either and not any(os.environ.get(name) for name in vendor.either):
            missing.append(" or ".join(vendor.either))
        if missing:
            raise NeedsAPerson(
                f"CDP_TARGET={self.name} needs {', '.join(missing)}: set {'it' if len(missing) == 1 else 'them'} in the "
                "environment or in a .env file next to pyproject.toml (docs/engines.md lists them all)."
            )
        for name in vendor.files:
            if os.environ.get(name) and not Path(os.environ[name]).is_file():
                raise NeedsAPerson(
                    f"{name}={os.environ[name]}: there is no such file. Name the key file that {self.name} gave you."
                )
        if importlib.util.find_spec("dlt") is None:
            raise NeedsAPerson(
                f"CDP_TARGET={self.name}: dlt, which loads what landed, is not installed. Install it with "
                f"`.venv/bin/pip install -c .ci/constraints.txt -e '.[{self.name}]'`."
            )

    def pipeline(self) -> Any:
        """dlt's way into the warehouse. Raises NeedsAPerson."""
        self.configured()
        return cloud_load.pipeline(self.home, self.vendor.destination, self.name)

    def writing(self) -> AbstractContextManager[None]:
        return file_lock.writing(self.home)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        pipeline = self.pipeline()
        try:
            client = pipeline.sql_client()
            client.open_connection()
        except Exception as error:  # every vendor's driver has its own errors
            answer = " ".join(str(error).split())
            answer = shorten(
                answer.partition("reason given is: ")[2] or answer, 300
            )  # dlt's own words would be true of anything
            if any(word in answer.lower() for word in REFUSED):
                raise NeedsAPerson(f"{self._where()} cannot be opened: {answer}. Check {self._variables()}.") from None
            raise TryAgain(f"{self._where()} cannot be reached: {answer}. Is {self._variables()} right?") from None
        try:
            yield client
        finally:
            client.close_connection()

    @contextmanager
    def reading(self) -> Iterator[CloudReading]:
        with file_lock.reading(self.home), self._client() as client:
            reading = CloudReading(client)
            if not _built(reading):
                raise NothingBuilt(f"There is no warehouse in {self._where()} yet: run `cdp run` first.")
            yield reading

    def exists(self) -> bool:
        with self._client() as client:
            return _built(CloudReading(client))

    def load(self, streams: list[tuple[str, str]]) -> None:
        from dlt.common.exceptions import DltException

        self.check()
        with self.writing():
            try:
                cloud_load.load(self.pipeline(), self.home, streams, self.vendor.zoned)
            except DltException as error:
                raise TryAgain(f"{self._where()}: loading what landed failed: {' '.join(str(error).split())}") from None

    def copy_to(self, file: Path) -> None:
        raise NeedsAPerson(
            f"CDP_TARGET={self.name}: relations are not copied out of {self._where()}. Ask what-if on DuckDB: "
            "CDP_TARGET=duckdb reads the same landing."
        )

    def remove(self) -> None:
        with self.writing(), self._client() as client:
            for schema in SCHEMAS:
                client.execute_sql(f"drop schema if exists {schema} cascade")

    def _variables(self) -> str:
        return ", ".join(dict.fromkeys((*self.vendor.needed, *self.vendor.either, *self.vendor.files)))

    def _where(self) -> str:
        return f"{self.name} {os.environ.get(self.vendor.database)}"


def _built(reading: CloudReading) -> bool:
    try:
        reading.execute("select count(*) from staging.builds")
    except RelationMissing:
        return False
    return True
