"""Spark on this machine, in dbt's own process: tables are Parquet folders under CDP_HOME/spark.

    spark/warehouse/<schema>.db/<table>/    what models made
    spark/published/<schema>/<name>/        views and seeds as they were when the last build ended
    spark/metastore/                        Spark's catalog
    spark/landed/                           links to the files of landing and ledger that counted when the build began

Python reads those files by DuckDB, so no reader starts a Java machine or waits for the catalog. One writer at a time by a
file lock, as on DuckDB. docs/spark.md says what Spark cannot do.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb

from cdp_orchestration import compacted
from cdp_orchestration.delivery.ledger import Ledger, literals
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.warehouse import file_lock
from cdp_orchestration.warehouse.duckdb import DuckDBReading
from cdp_orchestration.warehouse.engine import NothingBuilt

JAVA = 17
BATCHES = (
    "{batch_id: 'varchar', batch_seq: 'bigint', source: 'varchar', stream: 'varchar', records: 'bigint', errors: 'bigint', "
    "landed_at: 'timestamp'}"
)


class Spark:
    name = "spark"
    always_full = True

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.root / "spark"

    def where(self) -> str:
        return f"the Parquet folders under {self.folder}"

    def configured(self) -> None:
        """The home is all that it takes; whether Java is there, `check` asks."""

    def check(self) -> None:
        java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else "java"
        remedy = (
            f"Spark needs Java {JAVA} or later: install it (apt install openjdk-{JAVA}-jre-headless), or set JAVA_HOME."
        )
        try:
            done = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            raise NeedsAPerson(f"CDP_TARGET=spark: there is no Java at {java}. {remedy}") from None
        found = re.search(r'version "(\d+)', done.stderr + done.stdout)
        if not found or int(found.group(1)) < JAVA:
            version = (done.stderr or done.stdout).partition("\n")[0]
            raise NeedsAPerson(f"CDP_TARGET=spark: {java} is too old ({version}). {remedy}")

    def exists(self) -> bool:
        return any(self.folder.glob("warehouse/staging.db/builds/*.parquet"))

    def writing(self) -> AbstractContextManager[None]:
        return file_lock.writing(self.home)

    @contextmanager
    def reading(self) -> Iterator[DuckDBReading]:
        with file_lock.reading(self.home):
            if not self.exists():
                raise NothingBuilt(f"There is no warehouse at {self.folder} yet: run `cdp run` (or `cdp demo`) first.")
            with duckdb.connect(":memory:") as connection:
                connection.execute("set TimeZone = 'UTC'")
                for schema, name, sql in (*self._landed(), *self._relations()):
                    connection.execute(f'create schema if not exists "{schema}"')
                    connection.execute(f'create or replace view "{schema}"."{name}" as {sql}')
                yield DuckDBReading(connection)

    def _relations(self) -> Iterator[tuple[str, str, str]]:
        """Schema, name and a query, of all that is there. The ledger is newer than the build that published a view of it."""
        for folder in sorted({file.parent for file in self.folder.glob("*/*/*/*.parquet")}):
            parts = _quoted(folder / "*.parquet")
            sql = f"select * from read_parquet({parts}, union_by_name = true)"
            yield folder.parent.name.removesuffix(".db"), folder.name, sql
        ledger = _files(*_ledger_files(self.home))
        yield "activation", "deliveries", f"select * exclude (ledger_no, batch_no) from {ledger}"

    def _landed(self) -> Iterator[tuple[str, str, str]]:
        landing = Landing(self.home.landing)
        manifests = []
        for source, stream in landing.streams():
            schema = self.home.landing / source / stream / "_schema.parquet"
            files = [*([schema] if schema.exists() else []), *landing.live(source, stream)]
            manifests += [file.with_suffix(".json") for file in files]
            if files:
                yield "landing", f"{source}__{stream}", f"select * from {_files(*files)}"
        if manifests:
            sql = f"select * from read_json([{literals(manifests)}], format = 'newline_delimited', columns = {BATCHES})"
            yield "landing", "_batches", sql

    def load(self, streams: list[tuple[str, str]]) -> None:
        """Spark reads landing and ledger in place, by links: to the files that count, wherever compaction put them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        landing, links = Landing(self.home.landing), self.folder / "landed"
        with self.writing(), landing.reading(), compacted.reading(self.home.deliveries):
            shutil.rmtree(links, ignore_errors=True)
            for source, stream in landing.streams():
                files = landing.live(source, stream)
                _link([*files, *(file.with_suffix(".json") for file in files)], links / "landing" / source / stream)
            ledger = Ledger(self.home.deliveries)
            (links / "deliveries" / "ledger").mkdir(parents=True)
            for sync in ledger.syncs():
                _link(ledger.files(sync), links / "deliveries" / "ledger" / sync)

    def copy_to(self, file: Path) -> None:
        with self.reading() as reading:
            reading.execute(f"attach {_quoted(file)} as copy")
            for schema, relation, sql in self._relations():
                reading.execute(f'create schema if not exists copy."{schema}"')
                reading.execute(f'create or replace table copy."{schema}"."{relation}" as {sql}')

    def remove(self) -> None:
        with self.writing():
            shutil.rmtree(self.folder, ignore_errors=True)


def _link(files: list[Path], folder: Path) -> None:
    """Second names for files, which stay whole when the first ones go; copies where the disk knows no second names."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        try:
            os.link(file, folder / file.name)
        except OSError:
            shutil.copyfile(file, folder / file.name)


def _ledger_files(home: Home) -> list[Path]:
    ledger = Ledger(home.deliveries)
    ledger.prepare()
    return [
        home.deliveries / "ledger" / "_schema" / "_schema.parquet",
        *(f for s in ledger.syncs() for f in ledger.files(s)),
    ]


def _files(*paths: Path) -> str:
    return f"read_parquet([{literals(paths)}], union_by_name = true)"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
