"""A platform of its own for a test: a CDP_HOME in a temporary folder, driven through the `cdp` command."""

import json
import os
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from tests.support import parsed, warm

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT.parent / "shared"
# Of the environment, what a platform's processes get: dbt goes through all of it for every line that it logs.
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_", "LD_", "TZ", "TMPDIR", "PG", "DBT_", "DAGSTER_DISABLE", "DO_NOT_TRACK", "JAVA",
             "SPARK", "HADOOP", "PYSPARK")  # fmt: skip


@dataclass
class Platform:
    """`root` is the CDP_HOME; `project` the checkout that runs (a copy, where a test adds something to it)."""

    root: Path
    project: Path = PROJECT
    engine: dict[str, str] = field(default_factory=dict)  # CDP_TARGET and its variables; nothing: DuckDB

    def cdp(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a verb; the result has returncode, stdout and stderr."""
        if arguments[0] != "reset":
            parsed.start_from_it(self.root, self.project, self.environment(**environment))
        return self.python("-m", "cdp_orchestration.cli", *arguments, **environment)

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return warm.python(list(arguments), self.project, self.environment(**environment))

    def started(self, *arguments: str, **environment: str) -> warm.Process:
        """A process that goes on beside the test."""
        return warm.started(list(arguments), self.project, self.environment(**environment))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`cdp run`, which must go well."""
        done = self.cdp("run", *arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
        return {**kept, "CDP_HOME": str(self.root), "PYTHONPATH": str(self.project), **self.engine, **more}

    def drop(self, name: str, messages: list[dict[str, Any] | str]) -> None:
        """Put Segment-spec messages (or raw lines) into the inbox, whole."""
        inbox = self.root / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        lines = (line if isinstance(line, str) else json.dumps(line) for line in messages)
        (inbox / f".{name}").write_text("".join(f"{line}\n" for line in lines))
        (inbox / f".{name}").rename(inbox / name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self.engine:
            from tests.conftest import connect

            with closing(connect(self.engine, self.engine["PGDATABASE"])) as connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        with duckdb.connect(str(self.root / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Statements on PostgreSQL, committed."""
        from tests.conftest import connect

        with closing(connect(self.engine, self.engine["PGDATABASE"])) as connection, connection.cursor() as cursor:
            cursor.execute(sql)

    def log(self) -> str:
        file = self.root / "logs" / "cdp.log"
        return file.read_text()[-4000:] if file.exists() else ""


def dbt(project: Path, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """dbt itself, for tests of models alone."""
    platform = Platform(home, project)
    parsed.start_from_it(home, project, platform.environment(**environment))
    return platform.python(
        "-c", "from dbt.cli.main import cli; cli(prog_name='dbt')", "--no-use-colors", *arguments,
        "--profiles-dir", str(project / "profiles"), "--target-path", str(home / "dbt"), "--log-path", str(home / "dbt"),
        **{"DBT_LOG_LEVEL_FILE": "none", **environment},
    )  # fmt: skip
