"""kill -9 on PostgreSQL: while landed files are copied in, and while dbt runs. Nothing is lost, nothing is there twice.

Each moment is met exactly: the test holds a lock that the victim must wait for, kills it there, and lets go.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.landing import Landing, Page, Record
from tests.conftest import connect
from tests.support.harness import Platform
from tests.support.in_dagster import ME, ORDER
from tests.support.warm import Process

LOAD = """
from pathlib import Path
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Warehouse
Warehouse(Home(Path({home!r}))).load([("web", "events")])
"""
HELD = 42  # an advisory lock


@contextmanager
def transaction(postgres: dict[str, str]) -> Iterator[Any]:
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        yield cursor
        cursor.execute("rollback")


def waits(platform: Platform, application: str) -> bool:
    [(count,)] = platform.rows(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "
        f"and application_name = '{application}'"
    )
    return bool(count)


def killed_while(reached: Callable[[], bool], victim: Process) -> None:
    """Wait for the moment, then kill it and all of its children."""
    try:
        deadline = time.monotonic() + 120
        while not reached():
            assert victim.poll() is None, "it ended before the moment came"
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.1)
    finally:
        victim.kill()


@pytest.mark.parametrize("moment", ["in the middle of the copy", "after the copy, before the file is recorded"])
def test_killed_while_loading(moment: str, postgres: dict[str, str], tmp_path: Path) -> None:
    platform = Platform(tmp_path, engine=postgres)
    landing = Landing(tmp_path / "landing")
    Ledger(tmp_path / "deliveries").prepare()
    load = ["-c", LOAD.format(home=str(tmp_path))]
    platform.execute("drop schema if exists landing cascade")
    landing.land("web", "events", [Page([Record(f'{{"n":{n}}}', file="f") for n in range(10)], {})])
    assert platform.python(*load).returncode == 0
    landing.land("web", "events", [Page([Record(f'{{"n":{n}}}', file="g") for n in range(10, 5000)], {})])
    if moment == "in the middle of the copy":
        platform.execute(f"""
            create function landing.hold() returns trigger language plpgsql as
                $$ begin perform pg_advisory_xact_lock({HELD}); return new; end $$;
            create trigger hold before insert on landing.web__events for each row when (new._record_no = 4000)
                execute function landing.hold()""")
        hold = f"select pg_advisory_xact_lock({HELD})"
    else:
        hold = "lock table landing._batches in share mode"
    with transaction(postgres) as cursor:
        cursor.execute(hold)
        killed_while(lambda: waits(platform, "cdp"), platform.started(*load))
    assert platform.python(*load).returncode == 0
    assert platform.rows("select count(*), count(distinct _payload) from landing.web__events") == [(5000, 5000)]
    assert platform.rows("select records from landing._batches order by batch_seq") == [(10,), (4990,)]


def test_killed_while_dbt_runs(postgres: dict[str, str], tmp_path: Path) -> None:
    """Staging and identity of the second batch are written, its events are not, when all processes are killed."""
    platform = Platform(tmp_path, engine=postgres)
    platform.execute("drop schema if exists landing cascade")
    platform.drop("a.jsonl", [ME, ORDER])
    platform.run("--no-deliver")
    platform.drop("b.jsonl", [{"type": "page", "userId": "u1", "anonymousId": "n1", "messageId": "later"}])
    with transaction(postgres) as cursor:
        cursor.execute("lock table profiles.events in access exclusive mode")
        victim = platform.started("-m", "cdp_orchestration.cli", "run")
        killed_while(lambda: waits(platform, "cdp dbt"), victim)
    assert platform.rows("select count(*) from staging.messages") == [(3,)]
    assert platform.rows("select count(*) from profiles.events") == [(2,)]
    done = platform.run()
    assert "killed run" in done.stdout
    assert platform.rows("select count(*), count(distinct message_id) from staging.messages") == [(3, 3)]
    assert platform.rows("select count(*), count(distinct profile_id) from profiles.events") == [(3, 1)]
    assert platform.rows("select identifier_type from identity.identifiers order by 1") == [
        ("anonymous_id",), ("email",), ("user_id",),
    ]  # fmt: skip
    assert platform.rows("select sum(records) from landing._batches") == [(3,)]
    assert platform.rows("select count(*) from landing.inbox__messages") == [(3,)]
    assert platform.rows("select status, count(*) from activation.deliveries group by 1") == [("accepted", 1)]
