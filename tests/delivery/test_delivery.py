"""Deliveries against a small real warehouse; the kit here (World, Recorder) serves the other delivery tests too."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_orchestration.delivery.deliver import deliver
from cdp_orchestration.delivery.plan import backlog
from cdp_orchestration.delivery.sending import Summary
from cdp_orchestration.delivery.sync import Sync, parse_sync
from cdp_orchestration.destinations.base import Destination, DestinationConfig, Operation, Outcome
from cdp_orchestration.errors import Refused
from cdp_orchestration.home import Home
from cdp_orchestration.warehouse import Warehouse

NOTHING = dict.fromkeys(("add", "update", "remove", "withheld", "shared", "held", "elsewhere"), 0)
COLUMNS = {"email": "varchar", "spend_usd": "double"}


class World:
    """A CDP_HOME with a warehouse of one sync, `vips`, and the consents."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root)
        self.warehouse = Warehouse(self.home)
        self.runs = 0
        root.mkdir(parents=True, exist_ok=True)
        self.grant({})

    def want(self, rows: dict[str | None, dict[str, Any]] | list[dict[str, Any]], **columns: str) -> None:
        """What activation.vips holds: fields by row_key (profile_id is p-<row_key>), or whole rows."""
        types = columns or COLUMNS
        if isinstance(rows, dict):
            rows = [{"row_key": key, "profile_id": f"p-{key}", **fields} for key, fields in rows.items()]
        names = ["row_key", "profile_id", *types, "consent_message_id"]
        declared = ", ".join(f'"{name}" {types.get(name, "varchar")}' for name in names)
        self._fill("activation", "vips", declared, [[row.get(name) for name in names] for row in rows])

    def grant(self, states: dict[str, str], purpose: str = "email_marketing") -> None:
        """The states of the profiles under gdpr; the message that set one is m-<profile_id>-<purpose>."""
        self.consent([(p, "gdpr", purpose, state, f"m-{p}-{purpose}") for p, state in states.items()])

    def consent(self, rows: list[tuple[str, str, str, str, str]]) -> None:
        declared = (
            "profile_id varchar, regulation varchar, purpose varchar, state varchar, message_id varchar, "
            "occurred_at timestamp default timestamp '2026-01-01'"
        )
        self._fill("profiles", "consents", declared, [[*row, "2026-01-01"] for row in rows])

    def _fill(self, schema: str, table: str, declared: str, rows: list[list[Any]]) -> None:
        with self.warehouse.writing(), duckdb.connect(str(self.home.warehouse)) as connection:
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create or replace table {schema}.{table} ({declared})")
            if rows:
                marks = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
                connection.execute(f"insert into {schema}.{table} values {marks}", [v for row in rows for v in row])

    def deliver(
        self,
        destination: Destination,
        sync: Sync | None = None,
        run_id: str = "",
    ) -> Summary:
        self.runs += 1
        sync = sync or vips()
        summary = deliver(sync, destination, self.warehouse, self.home, run_id or f"run_{self.runs}")
        for name, *counts in summary.rows():
            assert counts[0] == sum(counts[1:]), f"{name}: planned = accepted + refused + failed + not attempted"
            assert min(counts) >= 0, name
        return summary

    def owed(self, sync: Sync | None = None) -> dict[str, int]:
        return backlog(sync or vips(), self.warehouse, self.home)

    def ledger(self, sync: str = "vips") -> list[dict[str, Any]]:
        files = str(self.home.deliveries / "ledger" / "*" / "*.parquet")
        with duckdb.connect() as connection:
            found = connection.execute("from read_parquet(?) where sync = ? order by ledger_no", [files, sync])
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def vips(**meta: Any) -> Sync:
    """The sync; mirror, without consent, unless told otherwise."""
    return parse_sync("vips", "activation.vips", {"destination": "fake", "consent": "not_required", **meta}, "vips.yml")


@dataclass
class Recorder(Destination):
    """A destination that notes each request. `answer`, if given, decides: it returns outcomes or raises."""

    answer: Callable[[list[Operation]], list[Outcome]] = lambda operations: accept(operations)
    batch_size: int | None = 500
    ordered: bool = False
    requests: list[list[Operation]] = field(default_factory=list)
    at: str = "here"

    kind = "recorder"
    Config = DestinationConfig

    def address(self) -> str:
        return self.at

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        self.requests.append(operations)
        return self.answer(operations)

    def sent(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(operation, row_key, fields) of all requests so far, which are then forgotten."""
        found = [(o.operation, o.row_key, o.fields) for request in self.requests for o in request]
        self.requests.clear()
        return found


def accept(operations: Iterable[Operation]) -> list[Outcome]:
    return [Outcome(o.row_key, "accepted", "200") for o in operations]


def people(count: int, **fields: Any) -> dict[str, dict[str, Any]]:
    return {f"k{n:03d}": {"email": f"{n}@x.io", "spend_usd": float(n), **fields} for n in range(count)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def test_the_second_run_sends_nothing(world: World) -> None:
    crm = Recorder()
    world.want(people(3))
    first = world.deliver(crm)
    assert (first.accepted, first.held, first.stopped) == (Counter(add=3), 3, None)
    assert crm.sent() == [("add", key, fields) for key, fields in people(3).items()]
    second = world.deliver(crm)
    assert second.planned == {"add": 0, "update": 0, "remove": 0}
    assert (second.held, crm.sent()) == (3, [])
    assert len(world.ledger()) == 3


def test_only_what_changed_is_sent(world: World) -> None:
    crm = Recorder()
    world.want(people(4))
    world.deliver(crm)
    crm.sent()
    rows = people(4)
    rows["k001"]["spend_usd"] = 99.5
    del rows["k002"]
    world.want({**rows, "new": {"email": "n@x.io", "spend_usd": None}})
    assert world.owed() == {**NOTHING, "add": 1, "update": 1, "remove": 1, "held": 4}
    summary = world.deliver(crm)
    assert crm.sent() == [
        ("remove", "k002", {"row_key": "k002"}),
        ("update", "k001", {"email": "1@x.io", "spend_usd": 99.5}),
        ("add", "new", {"email": "n@x.io"}),
    ]
    assert summary.held == 4
    assert world.owed() == {**NOTHING, "held": 4}


def test_a_new_person_under_an_old_key_is_removed_and_added(world: World) -> None:
    crm, sync = Recorder(), vips(identifiers=["email"])
    world.want(people(1))
    world.deliver(crm, sync)
    crm.sent()
    world.want({"k000": {"email": "new@x.io", "spend_usd": 0.0}})
    world.deliver(crm, sync)
    assert [[o.operation for o in request] for request in crm.requests] == [["remove"], ["add"]]
    assert crm.requests[0][0].fields == {"email": "0@x.io"}
    assert crm.requests[1][0].identifiers == {"email": "new@x.io"}
    crm.sent()
    world.deliver(crm, sync)
    assert crm.sent() == []


def test_an_add_waits_until_its_remove_is_accepted(world: World) -> None:
    def refuse_removes(operations: list[Operation]) -> list[Outcome]:
        return [Outcome(o.row_key, "refused" if o.operation == "remove" else "accepted", "no") for o in operations]

    _moves_only_after_its_removal(world, Recorder(), refuse_removes)


def test_nor_does_it_go_alone_when_an_ordered_batch_is_halved(world: World) -> None:
    def refuse_batches_with_removes(operations: list[Operation]) -> list[Outcome]:
        if any(o.operation == "remove" for o in operations):
            raise Refused("removals are not for you", code="422")
        return accept(operations)

    _moves_only_after_its_removal(world, Recorder(batch_size=None, ordered=True), refuse_batches_with_removes)


def _moves_only_after_its_removal(world: World, crm: Recorder, answer: Callable[[list[Operation]], Any]) -> None:
    sync = vips(identifiers=["email"])
    world.want(people(2))
    world.deliver(crm, sync)
    crm.sent()
    world.want({"k000": {"email": "new@x.io", "spend_usd": 0.0}, "k001": {"email": "1@x.io", "spend_usd": 5.0}})
    crm.answer = answer
    summary = world.deliver(crm, sync)
    assert (summary.refused, summary.accepted) == (Counter(remove=1), Counter(update=1))
    assert summary.not_attempted == {"add": 1, "update": 0, "remove": 0}
    assert not [row for row in world.ledger() if row["identifiers_sent"] == '{"email":"new@x.io"}']
    crm.sent()
    crm.answer = accept
    world.deliver(crm, sync)
    assert [(o, k) for o, k, _ in crm.sent()] == [("remove", "k000"), ("add", "k000")]


def test_an_ordered_destination_gets_both_phases_in_one_batch(world: World) -> None:
    drop, sync = Recorder(batch_size=None, ordered=True), vips(identifiers=["email"])
    world.want(people(3))
    world.deliver(drop, sync)
    assert [len(request) for request in drop.requests] == [3]
    drop.sent()
    world.want({"k000": {"email": "new@x.io", "spend_usd": 0.0}, "k001": people(2)["k001"]})
    world.deliver(drop, sync)
    assert [[(o.operation, o.row_key) for o in r] for r in drop.requests] == [
        [("remove", "k000"), ("remove", "k002"), ("add", "k000")]
    ]


def test_upsert_never_removes(world: World) -> None:
    crm, sync = Recorder(), vips(mode="upsert", identifiers=["email"])
    world.want(people(3))
    world.deliver(crm, sync)
    crm.sent()
    world.want({"k000": {"email": "new@x.io", "spend_usd": 0.0}})
    summary = world.deliver(crm, sync)
    assert crm.sent() == [("add", "k000", {"email": "new@x.io", "spend_usd": 0.0})]
    assert summary.held == 4, "the address that k000 had stays"


def test_returning_to_an_old_value_is_not_mistaken_for_a_replay(world: World) -> None:
    crm = Recorder()
    keys = []
    for spend in (1.0, 2.0, 1.0):
        world.want({"a": {"email": "a@x.io", "spend_usd": spend}})
        world.deliver(crm)
        keys.append(crm.requests[-1][0].idempotency_key)
    world.want({})
    world.deliver(crm)
    keys.append(crm.requests[-1][0].idempotency_key)
    world.want({"a": {"email": "a@x.io", "spend_usd": 1.0}})
    world.deliver(crm)
    keys.append(crm.requests[-1][0].idempotency_key)
    assert len(set(keys)) == 5


def test_the_warehouse_is_free_while_sending(world: World) -> None:
    def build_meanwhile(operations: list[Operation]) -> list[Outcome]:
        world.want(people(1))  # takes the write lock; would wait for ever if the delivery held it
        return accept(operations)

    world.want(people(3))
    crm = Recorder(build_meanwhile)
    assert world.deliver(crm).accepted == Counter(add=3), "the plan is frozen: what is built meanwhile is for later"
    crm.answer = accept
    assert world.deliver(crm).accepted == Counter(remove=2)


def test_the_ledger_says_what_became_of_each_row(world: World) -> None:
    world.want([{"row_key": "a", "profile_id": "p", "email": "a@x.io", "consent_message_id": "own"}])
    world.deliver(Recorder(), vips(identifiers=["email", "row_key"]), run_id="dagster-run")
    [row] = world.ledger()
    attempted_at = row.pop("attempted_at")
    assert attempted_at.tzinfo is None
    assert len(row.pop("payload_hash")) == len(row.pop("idempotency_key")) == 32
    assert json.loads(row.pop("identifiers_sent")) == {"email": "a@x.io", "row_key": "a"}
    assert row == {
        "run_id": "dagster-run", "sync": "vips", "row_key": "a", "profile_id": "p", "operation": "add",
        "status": "accepted", "attempt": 1, "code": "200", "message": "", "consent_message_id": "own",
        "ledger_no": 1, "batch_no": 1, "destination": "fake", "address": "here",
    }  # fmt: skip


def test_a_refused_row_is_tried_again_by_each_delivery_and_counted(world: World) -> None:
    def refuse_one(operations: list[Operation]) -> list[Outcome]:
        return [Outcome(o.row_key, "refused" if o.row_key == "k001" else "accepted", "422", "bad") for o in operations]

    crm = Recorder(refuse_one)
    world.want(people(3))
    summary = world.deliver(crm)
    assert (summary.accepted, summary.refused, summary.held) == (Counter(add=2), Counter(add=1), 2)
    assert summary.stopped is None
    assert summary.problems == ["refused: add of row_key 'k001' (attempt 1): 422 bad"]
    world.deliver(crm)
    crm.answer = accept
    world.deliver(crm)
    tries = [row for row in world.ledger() if row["row_key"] == "k001"]
    assert [(t["attempt"], t["status"]) for t in tries] == [(1, "refused"), (2, "refused"), (3, "accepted")]
    assert len({t["idempotency_key"] for t in tries}) == 1
    assert world.deliver(crm).planned["add"] == 0


def test_the_home_may_have_a_difficult_name(tmp_path: Path) -> None:
    world = World(tmp_path / "it's a [home]* of 100%")
    world.want(people(2))
    world.deliver(Recorder())
    assert world.deliver(Recorder()).held == 2
