"""CDP_TARGET chooses the engine for every verb; where its warehouse cannot be used, one sentence says why and what to do,
and nothing was written."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click.testing
import pytest

from tests.conftest import connect
from tests.support.harness import Platform
from tests.support.in_dagster import ME, steps

BUILDING = ["run", "demo", "dev", "load"]


@pytest.fixture(scope="module")
def guest(postgres: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same database, by a user who may connect and nothing else."""
    role = f"{postgres['PGDATABASE']}_guest"
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute(f"create role {role} login password 'guest'")
        yield {**postgres, "PGUSER": role, "PGPASSWORD": "guest"}
        cursor.execute(f"drop owned by {role}")
        cursor.execute(f"drop role {role}")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a verb says when it refuses: one line, exit code 1, no home."""

    def run(verb: str, engine: dict[str, str]) -> str:
        from cdp_orchestration.cli import main

        home = tmp_path / "home"
        for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "CDP_TARGET"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**engine, "CDP_HOME": str(home), "CDP_DEMO_HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        done = click.testing.CliRunner().invoke(main, [verb])
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, SystemExit), done.exception
        assert done.stdout == ""
        assert not home.exists()
        assert done.stderr.count("\n") == 1
        return done.stderr

    return run


@pytest.mark.parametrize("verb", [*BUILDING, "check", "status", "quarantine"])
def test_a_target_that_is_not_told_in_full(
    verb: str, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = {"CDP_TARGET": "postgres", "PGHOST": "127.0.0.1"}
    assert "CDP_TARGET=postgres needs PGUSER, PGDATABASE: set them in the environment or in a .env file" in told(
        verb, server
    )
    assert "PGPORT=http is no port: set it to a number" in told(
        verb, {**server, "PGUSER": "u", "PGDATABASE": "d", "PGPORT": "http"}
    )
    assert "CDP_TARGET=oracle: no such target in" in told(verb, {"CDP_TARGET": "oracle"})
    spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "dbt.adapters.postgres" else spec(name)
    )
    assert "adapter for postgres is not installed. Install it with `.venv/bin/pip install" in told(verb, server)


@pytest.mark.parametrize("verb", BUILDING)
def test_a_warehouse_that_cannot_be_reached(verb: str, told: Callable[..., str], postgres: dict[str, str]) -> None:
    sentence = told(verb, {**postgres, "PGHOST": "127.0.0.1", "PGPORT": "9"})
    assert "at 127.0.0.1:9 cannot be reached" in sentence
    assert "Is the server running, and are PGHOST and PGPORT right?" in sentence
    sentence = told(verb, {**postgres, "PGDATABASE": "no_such_database"})
    assert "no_such_database" in sentence
    assert "Check PGUSER, PGPASSWORD, PGDATABASE." in sentence


@pytest.mark.parametrize("verb", BUILDING)
def test_a_user_without_rights(
    verb: str, told: Callable[..., str], postgres: dict[str, str], guest: dict[str, str]
) -> None:
    role = guest["PGUSER"]
    assert f'As its owner: grant create on database "{postgres["PGDATABASE"]}" to "{role}".' in told(verb, guest)
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute(f"grant create on database {postgres['PGDATABASE']} to {role}")
        cursor.execute("create schema identity")
        cursor.execute(f"grant usage on schema identity to {role}")
        try:
            assert f'grant usage, create on schema identity to "{role}".' in told(verb, guest)
            cursor.execute(f"grant create on schema identity to {role}")
            cursor.execute("create table identity.merges ()")
            assert f"identity.merges for one, belong to another user, and the user {role} cannot replace them" in told(
                verb, guest
            )
        finally:
            cursor.execute("drop schema identity cascade")
            cursor.execute(f"revoke create on database {postgres['PGDATABASE']} from {role}")


def test_check_tells_of_the_warehouse_beside_the_definitions(postgres: dict[str, str], tmp_path: Path) -> None:
    done = Platform(tmp_path, engine={**postgres, "PGHOST": "127.0.0.1", "PGPORT": "9"}).cdp("check")
    assert done.returncode == 1
    assert done.stderr.startswith("- PostgreSQL database")
    assert "127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_dagster_does_not_load_without_the_targets_variables(tmp_path: Path) -> None:
    """What its UI shows for the code location."""
    platform = Platform(tmp_path, engine={"CDP_TARGET": "postgres", "PGHOST": "", "PGUSER": ""})
    done = platform.python("-c", "from cdp_orchestration.definitions import defs; defs()")
    assert done.returncode == 1
    assert "CDP_TARGET=postgres needs PGHOST, PGUSER" in done.stderr.strip().splitlines()[-1]


def test_a_server_that_went_away_fails_the_build_in_dagster_with_the_remedy(
    postgres: dict[str, str], tmp_path: Path
) -> None:
    platform = Platform(tmp_path, engine=postgres)
    platform.drop("a.jsonl", [ME])
    assert platform.cdp("check").returncode == 0
    done = platform.python("-c", steps("build"), PGHOST="127.0.0.1", PGPORT="9")
    assert "SUCCESS False" in done.stdout, done.stderr
    assert "127.0.0.1:9 cannot be reached" in done.stdout
    assert "Is the server running" in done.stdout
