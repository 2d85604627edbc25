"""Servers for tests: one that answers, else in CI one of our own, else the test skips and says so."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests import parsed


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # workers inherit it
        os.environ[parsed.KEPT] = tempfile.mkdtemp(prefix="cdp-parsed-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(parsed.KEPT), ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """PGHOST, PGPORT, PGUSER (and PGPASSWORD) of a PostgreSQL whose user may create databases."""
    server = {
        "PGHOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PGPORT": os.environ.get("PGPORT", "5432"),
        "PGUSER": os.environ.get("PGUSER", "postgres"),
        "PGPASSWORD": os.environ.get("PGPASSWORD", ""),
    }
    try:
        connect(server, os.environ.get("PGDATABASE", "postgres")).close()
    except psycopg2.OperationalError as error:
        if not os.environ.get("CI"):
            pytest.skip(f"no PostgreSQL answers at {server['PGHOST']}:{server['PGPORT']}: {error}")
    else:
        yield server
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    # Sockets and data in a short path of their own; a server never runs as root.
    folder = Path("/tmp") / f"cdp-pg-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o700)
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    where = f"{found[-1]}/" if found else ""
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run([*as_user, f"{where}initdb", "-D", f"{folder}/data", "-U", "cdp", "-A", "trust", "-E", "UTF8"],
                   check=True, capture_output=True, cwd="/tmp")  # fmt: skip
    control = [*as_user, f"{where}pg_ctl", "-D", f"{folder}/data", "-w"]
    subprocess.run(
        [*control, "-o", options, "-l", f"{folder}/log", "start"], check=True, stdout=subprocess.DEVNULL, cwd="/tmp"
    )
    try:
        yield {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "cdp", "PGPASSWORD": ""}
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/tmp")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres(postgres_server: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of an empty database of its own. It sorts as English does, so that what relies on byte order shows."""
    name = f"cdp_test_{uuid.uuid4().hex[:12]}"
    main = os.environ.get("PGDATABASE", "postgres")
    with closing(connect(postgres_server, main)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"create database {name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'en-US'"
        )
    yield {**postgres_server, "PGDATABASE": name, "CDP_TARGET": "postgres"}
    with closing(connect(postgres_server, main)) as connection, connection.cursor() as cursor:
        cursor.execute(f"drop database {name} with (force)")


def connect(server: dict[str, str], database: str) -> "psycopg2.extensions.connection":
    connection = psycopg2.connect(
        host=server["PGHOST"], port=server["PGPORT"], user=server["PGUSER"], password=server["PGPASSWORD"] or None,
        dbname=database, connect_timeout=5,
    )  # fmt: skip
    connection.autocommit = True
    return connection
