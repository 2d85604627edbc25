"""The ledger belongs to sync, destination and address: what is elsewhere is neither taken for here, nor forgotten."""

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from cdp_orchestration.delivery.deliver import empty
from cdp_orchestration.delivery.ledger import SCHEMA, Ledger
from cdp_orchestration.delivery.places import NOWHERE, Place
from cdp_orchestration.delivery.plan import backlog, holdings
from cdp_orchestration.delivery.sending import Summary
from cdp_orchestration.destinations.base import Operation
from cdp_orchestration.errors import NeedsAPerson, NoAnswer
from tests.delivery.test_delivery import NOTHING, Recorder, World, people, vips

OLD, NEW = Place("fake", "old"), Place("fake", "new")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def ledger(world: World) -> Ledger:
    return Ledger(world.home.deliveries)


def owed(world: World, address: str | None, **meta: Any) -> dict[str, int]:
    return backlog(vips(**meta), world.warehouse, world.home, address)


def as_93c4165_wrote_it(world: World) -> None:
    """Takes out of the ledger, and of the marker, what an earlier version did not write."""
    for file in (world.home.deliveries / "ledger").glob("*/*.parquet"):
        pq.write_table(pq.read_table(file).select(SCHEMA.names[:-2]), file)
    for file in (world.home.deliveries / "in_flight").glob("*.json"):
        marker = json.loads(file.read_bytes())
        file.write_text(json.dumps({k: v for k, v in marker.items() if k not in ("destination", "address")}))
    for file in (world.home.deliveries / "decisions").glob("*.jsonl"):
        file.unlink()


def test_another_address_starts_empty_and_the_old_one_is_not_forgotten(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.want(people(3))
    world.deliver(Recorder(at="old"))
    assert owed(world, "new") == {**NOTHING, "add": 3, "elsewhere": 3}
    crm = Recorder(at="new")
    summary = world.deliver(crm)
    assert (summary.accepted, summary.held, summary.elsewhere) == (Counter(add=3), 3, 3)
    assert any("3 stay at an earlier address" in line for line in caplog.messages)
    assert holdings(ledger(world), "vips") == {OLD: 3, NEW: 3}
    assert world.deliver(crm).planned == {"add": 0, "update": 0, "remove": 0}
    world.want(people(2))
    back = Recorder(at="old")
    assert world.deliver(back).accepted == Counter(remove=1), "what it held is known again"
    keys = [row["idempotency_key"] for row in world.ledger()]
    assert len(set(keys)) == len(keys), "one system behind two addresses would take a known key for a replay"


def test_another_destination_starts_empty(world: World) -> None:
    world.want(people(3))
    world.deliver(Recorder())
    assert world.deliver(Recorder(), vips(destination="other")).accepted == Counter(add=3)
    assert holdings(ledger(world), "vips") == {Place("fake", "here"): 3, Place("other", "here"): 3}


def test_a_guard_of_the_old_address_does_not_hold_the_new_one(world: World) -> None:
    world.want(people(30))
    world.deliver(Recorder(at="old"))
    world.want(people(1))
    assert world.deliver(Recorder(at="new"), vips(guard={"max_removed_percent": 1})).accepted == Counter(add=1)


def test_rows_of_an_older_ledger_are_where_the_first_delivery_since_goes(world: World) -> None:
    world.want(people(3))
    world.deliver(Recorder())
    as_93c4165_wrote_it(world)
    assert owed(world, "old") == {**NOTHING, "held": 3}, "before that, they are wherever the destination is"
    assert owed(world, None) == {**NOTHING, "held": 3}, "also where it waits"
    ledger(world).prepare()
    with duckdb.connect() as connection:
        columns = connection.execute(
            f"from read_parquet('{world.root}/deliveries/ledger/*/*.parquet', union_by_name = true)"
        )
        assert [column[0] for column in columns.description][-2:] == ["destination", "address"]
    assert world.deliver(Recorder(at="old")).planned == {"add": 0, "update": 0, "remove": 0}
    assert world.deliver(Recorder(at="new")).accepted == Counter(add=3)
    assert holdings(ledger(world), "vips") == {OLD: 3, NEW: 3}


def test_they_stay_there_even_if_that_delivery_never_got_to_a_plan(world: World) -> None:
    world.want(people(3))
    world.deliver(Recorder())
    as_93c4165_wrote_it(world)
    world.want([{"row_key": None}])
    with pytest.raises(NeedsAPerson):
        world.deliver(Recorder(at="old"))
    world.want(people(3))
    assert world.deliver(Recorder(at="new")).accepted == Counter(add=3)


class Dead(BaseException):
    pass


def die(_: list[Operation]) -> Any:
    raise Dead


@pytest.mark.parametrize("version", ["this", "93c4165"])
def test_what_was_in_flight_is_in_doubt_where_it_was_sent(world: World, version: str) -> None:
    world.want(people(2))
    with pytest.raises(Dead):
        world.deliver(Recorder(die, at="old"))
    if version == "93c4165":
        as_93c4165_wrote_it(world)
        world.want(people(1))
        assert world.deliver(Recorder(at="old")).accepted == Counter(add=1, remove=1)
        return
    assert world.deliver(Recorder(at="new")).accepted == Counter(add=2)
    assert [(row["address"], row["status"]) for row in world.ledger()] == [("old", "failed")] * 2 + [
        ("new", "accepted")
    ] * 2
    assert holdings(ledger(world), "vips") == {OLD: 2, NEW: 2}
    world.want(people(1))
    assert world.deliver(Recorder(at="old")).accepted == Counter(add=1, remove=1)


def test_a_resync_sends_all_again_and_still_removes_what_it_put_there(world: World) -> None:
    crm = Recorder(at="old")
    world.want(people(3))
    world.deliver(crm)
    crm.sent()
    ledger(world).decide("vips", "resync", OLD)
    world.want(people(2))
    summary = world.deliver(crm)
    assert [operation[:2] for operation in crm.sent()] == [("remove", "k002"), ("add", "k000"), ("add", "k001")]
    assert summary.held == 2
    assert world.deliver(crm).planned == {"add": 0, "update": 0, "remove": 0}, "once"
    keys = [row["idempotency_key"] for row in world.ledger()]
    assert len(set(keys)) == len(keys), "a destination that ignores known keys must do it again"


def test_what_a_resync_could_not_send_stays_owed(world: World) -> None:
    crm = Recorder(at="old")
    world.want(people(2))
    world.deliver(crm)
    ledger(world).decide("vips", "resync", OLD)
    down = NoAnswer("down", may_have_arrived=False)
    crm.answer = lambda _: (_ for _ in ()).throw(down)
    world.deliver(crm)
    assert owed(world, "old")["add"] == 2


def test_what_was_let_go_is_nobodys_and_an_address_that_comes_back_starts_empty(world: World) -> None:
    world.want(people(3))
    world.deliver(Recorder(at="old"))
    world.deliver(Recorder(at="new"))
    ledger(world).decide("vips", "let_go", OLD)
    assert holdings(ledger(world), "vips") == {NEW: 3}
    assert owed(world, "new") == {**NOTHING, "held": 3}
    world.want(people(2))
    assert world.deliver(Recorder(at="old")).accepted == Counter(add=2)
    assert holdings(ledger(world), "vips") == {OLD: 2, NEW: 3}


def test_an_older_ledger_that_was_let_go_stays_let_go(world: World) -> None:
    world.want(people(3))
    world.deliver(Recorder())
    as_93c4165_wrote_it(world)
    assert holdings(ledger(world), "vips") == {NOWHERE: 3}
    ledger(world).decide("vips", "let_go", NOWHERE)
    assert holdings(ledger(world), "vips") == {}
    assert world.deliver(Recorder()).accepted == Counter(add=3), "its model is back"


def remove_all(world: World, crm: Recorder, **meta: Any) -> Summary:
    return empty(vips(**meta), crm, world.home, f"removal {len(world.ledger())}")


@pytest.mark.parametrize("mode", ["mirror", "upsert"])
def test_all_is_removed_under_what_was_sent_whatever_the_mode_and_the_guard(world: World, mode: str) -> None:
    meta = {"mode": mode, "identifiers": ["email"], "guard": {"max_removed_percent": 1, "min_held": 0}}
    crm = Recorder(at="old")
    world.want(people(3))
    world.deliver(crm, vips(**meta))
    crm.sent()
    (world.home.root / "warehouse.duckdb").unlink()  # its model is gone, and perhaps all else
    summary = remove_all(world, crm, **meta)
    assert (summary.accepted, summary.held) == (Counter(remove=3), 0)
    assert crm.sent() == [("remove", f"k00{n}", {"email": f"{n}@x.io"}) for n in range(3)]
    assert holdings(ledger(world), "vips") == {}
    assert remove_all(world, crm, **meta).planned["remove"] == 0


def test_a_removal_of_all_that_died_is_finished_by_the_next(world: World) -> None:
    crm = Recorder(at="old", batch_size=1)
    world.want(people(3))
    world.deliver(crm)
    crm.sent()

    def die_at_the_second(operations: list[Operation]) -> Any:
        if len(crm.requests) == 2:
            raise Dead
        return Recorder().send("", "", operations)

    crm.answer = die_at_the_second
    with pytest.raises(Dead):
        remove_all(world, crm)
    crm.answer = Recorder().answer
    crm.sent()
    assert remove_all(world, crm).accepted == Counter(remove=2)
    assert [key for _, key, _ in crm.sent()] == ["k001", "k002"]


def test_postgresql_takes_old_and_new_attempts_into_a_table_of_either_age(
    world: World, postgres: dict[str, str]
) -> None:
    from cdp_orchestration.warehouse import postgres_load
    from tests.conftest import connect

    world.want(people(2))
    world.deliver(Recorder(at="old"))
    as_93c4165_wrote_it(world)
    with closing(connect(postgres, postgres["PGDATABASE"])) as connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists landing cascade")
        postgres_load.load(connection, world.home, [])
        cursor.execute("alter table landing._ledger drop column destination, drop column address")  # as it was
        world.deliver(Recorder(at="new"))
        world.deliver(Recorder(at="newer"))
        for _ in range(2):
            postgres_load.load(connection, world.home, [])
        cursor.execute("select row_key, destination, address from landing._ledger order by ledger_no")
        assert cursor.fetchall() == [
            ("k000", None, None), ("k001", None, None), ("k000", "fake", "newer"), ("k001", "fake", "newer"),
        ]  # fmt: skip


def test_decisions_that_cannot_be_read_stop_and_tell(world: World) -> None:
    world.want(people(1))
    world.deliver(Recorder())
    (world.home.deliveries / "decisions" / "vips.jsonl").write_text('{"decision": "forget"}\n')
    with pytest.raises(NeedsAPerson, match=r"decisions/vips\.jsonl cannot be read.*Restore it"):
        world.deliver(Recorder())


def test_an_address_may_be_spelled_with_quotes(world: World) -> None:
    world.want(people(1))
    crm = Recorder(at="it's; 'here'")
    world.deliver(crm)
    ledger(world).decide("vips", "let_go", Place("fake", crm.at))
    assert world.deliver(crm).accepted == Counter(add=1)
