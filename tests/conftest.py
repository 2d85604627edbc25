"""Servers for tests: one that answers, else in CI one of our own, else the test skips and says so."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from tests.support import parsed


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # workers inherit it
        os.environ[parsed.KEPT] = tempfile.mkdtemp(prefix="cdp-parsed-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(parsed.KEPT), ignore_errors=True)


# The longest files, longest first: a worker that begins one of them last would leave the other idle.
LONGEST = ["test_identity", "test_days", "test_dagster", "test_portability", "test_takeover", "test_demo", "test_identity_explained",
           "test_bad_input", "test_dagster_runs", "test_models", "test_any_record", "test_cdnow", "test_streams", "test_values",
           "test_postgres_crash", "test_staging", "test_targets"]  # fmt: skip
# Files whose tests build a warehouse, start a process for each, or draw many worlds: `make test-fast` leaves them out.
BUILDING = {*LONGEST, "test_attributes", "test_audience_builds", "test_audience_verbs", "test_audiences", "test_checks", "test_compaction",
            "test_definitions", "test_delivery_crash", "test_delivery_property", "test_demo_company", "test_new", "test_postgres",
            "test_recomputed", "test_segment", "test_spark", "test_tables", "test_traits", "test_warehouse_duckdb", "test_why_member"}  # fmt: skip
SERVERS = {"postgres", "postgres_server", "mariadb"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    for item in items:
        if item.path.stem in BUILDING:
            item.add_marker(pytest.mark.builds)
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


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
    with _server_of_our_own() as ours:
        yield ours


@contextmanager
def _server_of_our_own() -> Iterator[dict[str, str]]:
    """A PostgreSQL on a free port, with data and sockets in a short path of their own; gone afterwards."""
    binaries = _postgres_binaries()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    folder = Path("/tmp") / f"cdp-pg-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o700)
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root; the package makes this user
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [*as_user, str(binaries / "pg_ctl"), "-D", f"{folder}/data", "-w"]
    try:
        for command in (
            [*as_user, str(binaries / "initdb"), "-D", f"{folder}/data", "-U", "cdp", "-A", "trust", "-E", "UTF8"],
            [*control, "-o", options, "-l", f"{folder}/log", "start"],
        ):
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/tmp")
            assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        yield {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "cdp", "PGPASSWORD": ""}
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/tmp")
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path:
    """Where initdb and pg_ctl are: where Debian keeps them, the newest first, else in the PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = packaged[-1] if packaged else shutil.which("initdb")
    if not found:
        pytest.fail(
            "No PostgreSQL answers, and there is none to start: install one (apt install postgresql), or point PGHOST, "
            "PGPORT, PGUSER and PGPASSWORD to a server whose user may create databases."
        )
    return Path(found).parent


@pytest.fixture(scope="module")
def postgres(postgres_server: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of an empty database of its own. It sorts as English does, so that what relies on byte order shows, and
    plans small tables as it would plan large ones, in parallel where it may."""
    name = f"cdp_test_{uuid.uuid4().hex[:12]}"
    main = os.environ.get("PGDATABASE", "postgres")
    with closing(connect(postgres_server, main)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"create database {name} template template0 encoding 'UTF8' locale_provider icu icu_locale 'en-US'"
        )
        for setting in ("min_parallel_table_scan_size", "parallel_setup_cost", "parallel_tuple_cost"):
            cursor.execute(f"alter database {name} set {setting} = 0")
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
