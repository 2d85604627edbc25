"""What a delivery does when the destination refuses, fails, stops or breaks, and what the next one then owes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.delivery import in_flight
from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.destinations.base import Operation, Outcome
from cdp_orchestration.errors import CdpError, NeedsAPerson, NoAnswer, Refused, TryAgain
from tests.delivery.test_delivery import Recorder, World, accept, people, vips


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def refusing(*bad: str, code: str = "400") -> Recorder:
    """A destination that refuses a whole batch in which one of these rows is."""

    def answer(operations: list[Operation]) -> list[Outcome]:
        if any(o.row_key in bad for o in operations):
            raise Refused("one row is bad", code=code)
        return accept(operations)

    return Recorder(answer)


def failing(*errors: Exception | None) -> Recorder:
    """A destination that raises these, one a request (None: it accepts); then it accepts."""
    script: Iterator[Exception | None] = iter(errors)

    def answer(operations: list[Operation]) -> list[Outcome]:
        error = next(script, None)
        if error:
            raise error
        return accept(operations)

    return Recorder(answer)


def codes(world: World) -> list[tuple[str, str, str]]:
    return [(row["row_key"], row["status"], row["code"]) for row in world.ledger()]


def test_halving_finds_one_bad_row_of_a_hundred_with_few_requests(world: World) -> None:
    crm = refusing("k037", code="422")
    world.want(people(100))
    summary = world.deliver(crm)
    assert (summary.accepted, summary.refused, summary.failed) == (Counter(add=99), Counter(add=1), Counter())
    assert len(crm.requests) <= 15, "1 + 2 log2(100)"
    assert [row for row in codes(world) if row[1] != "accepted"] == [("k037", "refused", "422")]
    assert summary.problems == ["refused: add of row_key 'k037' (attempt 1): 422 one row is bad"]
    assert summary.stopped is None, "a refused row holds nobody else up"


def test_a_first_batch_refused_row_by_row_for_one_reason_stops_the_delivery(world: World) -> None:
    crm = Recorder(lambda operations: [Outcome(o.row_key, "refused", "404", "no such list") for o in operations])
    crm.batch_size = 60
    world.want(people(130))
    summary = world.deliver(crm)
    assert len(crm.requests) == 1
    assert (summary.refused, summary.not_attempted["add"]) == (Counter(add=60), 70)
    assert summary.stopped is not None
    assert "60 of the 60 rows tried were refused" in summary.stopped
    assert "no such list" in summary.stopped
    assert world.owed()["add"] == 130


@pytest.mark.parametrize(
    ("rows", "guard"), [(130, {"max_refused_percent": 60}), (130, {"max_refused_percent": None}), (19, {})]
)
def test_fewer_refusals_than_the_guard_says_do_not_stop_it(world: World, rows: int, guard: dict[str, Any]) -> None:
    def answer(operations: list[Operation]) -> list[Outcome]:
        return [Outcome(o.row_key, "accepted" if n % 2 else "refused", "400") for n, o in enumerate(operations)]

    crm = Recorder(answer, batch_size=5)
    world.want(people(rows))
    assert world.deliver(crm, vips(guard=guard)).not_attempted["add"] == 0


def test_rows_that_were_refused_before_come_last_and_stop_nobody(world: World) -> None:
    """Forty bad rows whose keys sort first, tried again and again, and ten good ones that come later."""
    bad = people(40)
    crm = Recorder(
        lambda operations: [Outcome(o.row_key, "refused" if o.row_key in bad else "accepted") for o in operations]
    )
    crm.batch_size = 5
    world.want(bad)
    assert world.deliver(crm).stopped
    assert world.deliver(crm, vips(guard={"max_refused_percent": None})).refused == Counter(add=40)
    world.want({**bad, **{f"z{n}": {"email": f"z{n}@x.io", "spend_usd": 1.0} for n in range(10)}})
    crm.requests.clear()
    summary = world.deliver(crm)
    assert (summary.accepted, summary.refused, summary.stopped) == (Counter(add=10), Counter(add=40), None)
    assert [o.row_key[0] for o in crm.requests[0]] == ["z"] * 5
    world.want({**bad, "k000": {"email": "right@x.io", "spend_usd": 1.0}})
    del bad["k000"]
    assert world.deliver(crm).accepted == Counter(add=1, remove=10), "with a fresh value it is tried as a new one"


def test_three_failed_batches_in_a_row_stop_the_delivery(world: World) -> None:
    crm = failing(*[NoAnswer("down", code="503", may_have_arrived=False)] * 9)
    crm.batch_size = 2
    world.want(people(10))
    summary = world.deliver(crm)
    assert len(crm.requests) == 3
    assert (summary.failed, summary.not_attempted["add"]) == (Counter(add=6), 4)
    assert summary.stopped == "3 batches in a row failed: down"
    assert {code[1:] for code in codes(world)} == {("failed", "503")}


def test_an_accepted_batch_in_between_starts_the_count_again(world: World) -> None:
    down = NoAnswer("down", code="503", may_have_arrived=False)
    crm = failing(down, down, None, down, down, None)
    crm.batch_size = 2
    world.want(people(12))
    summary = world.deliver(crm)
    assert (summary.accepted, summary.failed, len(crm.requests)) == (Counter(add=4), Counter(add=8), 6)
    assert summary.stopped == "8 rows failed and stay owed: down"
    assert world.deliver(crm).accepted == Counter(add=8)


@pytest.mark.parametrize("error", [TryAgain("timeout"), NoAnswer("timeout", code="504"), RuntimeError("bug")])
def test_a_row_that_may_have_arrived_and_is_no_longer_wanted_is_removed(world: World, error: Exception) -> None:
    crm = failing(error)
    world.want(people(1))
    if isinstance(error, RuntimeError):
        with pytest.raises(CdpError, match="'recorder' broke with RuntimeError: bug"):
            world.deliver(crm)
    else:
        world.deliver(crm)
    assert codes(world) == [("k000", "failed", "unknown")]
    world.want({})
    crm.sent()
    assert world.deliver(crm).accepted == Counter(remove=1)
    assert crm.sent() == [("remove", "k000", {"row_key": "k000"})]
    assert world.deliver(crm).planned["remove"] == 0


def test_a_row_that_surely_did_not_arrive_and_is_no_longer_wanted_is_forgotten(world: World) -> None:
    crm = failing(NoAnswer("refused the connection", code="no_answer", may_have_arrived=False))
    world.want(people(1))
    world.deliver(crm)
    world.want({})
    assert world.deliver(crm).planned == {"add": 0, "update": 0, "remove": 0}


def test_a_doubtful_update_is_sent_again_even_if_the_value_went_back(world: World) -> None:
    crm = failing(None, TryAgain("timeout"))
    for spend in (1.0, 2.0, 1.0):
        world.want({"a": {"email": "a@x.io", "spend_usd": spend}})
        world.deliver(crm)
    assert crm.sent()[-1] == ("update", "a", {"email": "a@x.io", "spend_usd": 1.0})
    keys = [row["idempotency_key"] for row in world.ledger()]
    assert len(set(keys)) == 3, "the last is no replay of the first"
    assert world.deliver(crm).planned["update"] == 0


def test_a_value_that_comes_back_in_doubt_is_no_replay_of_its_first_time(world: World) -> None:
    crm = failing(TryAgain("timeout"), TryAgain("timeout"))
    for spend in (1.0, 2.0, 1.0):
        world.want({"a": {"email": "a@x.io", "spend_usd": spend}})
        world.deliver(crm)
    sent = [request[0] for request in crm.requests]
    assert [o.operation for o in sent] == ["add"] * 3
    assert len({o.idempotency_key for o in sent}) == 3, "a destination that ignores known keys would keep 2.0"


def test_a_row_that_was_perhaps_removed_and_is_wanted_again_is_added(world: World) -> None:
    crm = failing(None, TryAgain("timeout"))
    for rows in (people(1), {}, people(1)):
        world.want(rows)
        world.deliver(crm)
    assert [operation for operation, _, _ in crm.sent()] == ["add", "remove", "add"]


def test_both_addresses_that_may_be_there_are_removed(world: World) -> None:
    crm, sync = failing(None, TryAgain("timeout")), vips(identifiers=["email"])
    crm.ordered, crm.batch_size = True, None
    world.want({"a": {"email": "old@x.io"}})
    world.deliver(crm, sync)
    world.want({"a": {"email": "new@x.io"}})
    world.deliver(crm, sync)  # remove old, add new: nobody knows
    world.want({})
    crm.sent()
    world.deliver(crm, sync)
    assert crm.sent() == [("remove", "a", {"email": "new@x.io"}), ("remove", "a", {"email": "old@x.io"})]
    assert world.deliver(crm, sync).planned["remove"] == 0


def test_a_stop_stops_at_once(world: World) -> None:
    crm = failing(None, NeedsAPerson("webhook: answered 401. Check the field 'token'."))
    crm.batch_size = 2
    world.want(people(10))
    summary = world.deliver(crm)
    assert len(crm.requests) == 2
    assert (summary.accepted, summary.failed) == (Counter(add=2), Counter(add=2))
    assert summary.not_attempted["add"] == 6
    assert summary.stopped == "webhook: answered 401. Check the field 'token'."
    assert codes(world)[2:] == [("k002", "failed", "stopped"), ("k003", "failed", "stopped")]
    assert world.deliver(crm).accepted == Counter(add=8)


def test_a_fault_in_the_middle_of_halving_keeps_what_was_answered(world: World) -> None:
    script: Iterator[Exception | None] = iter([Refused("bad", "400"), None, TryAgain("timeout")])

    def answer(operations: list[Operation]) -> list[Outcome]:
        error = next(script, None)
        if error:
            raise error
        return accept(operations)

    world.want(people(4))
    summary = world.deliver(Recorder(answer))
    assert (summary.accepted, summary.failed) == (Counter(add=2), Counter(add=2))
    assert codes(world)[2:] == [("k002", "failed", "unknown"), ("k003", "failed", "unknown")]


def test_rows_whose_turn_had_not_come_are_not_in_doubt(world: World) -> None:
    crm = failing(Refused("bad", "400"), TryAgain("timeout"))
    world.want(people(4))
    world.deliver(crm)
    assert [code for _, _, code in codes(world)] == ["unknown", "unknown", "failed", "failed"]
    world.want({})
    assert world.owed()["remove"] == 2


def test_a_connector_that_forgets_a_row_leaves_it_in_doubt(world: World) -> None:
    crm = Recorder(lambda operations: accept(operations[1:]))
    world.want(people(2))
    summary = world.deliver(crm)
    assert (summary.accepted, summary.failed) == (Counter(add=1), Counter(add=1))
    assert codes(world)[0] == ("k000", "failed", "unknown")
    crm.answer = accept
    assert world.deliver(crm).accepted == Counter(add=1)


class PowerCut(BaseException):
    """As when the process dies: nobody catches it."""


@pytest.mark.parametrize("arrived", [True, False])
def test_the_batch_in_flight_is_repeated_under_the_same_keys(
    world: World, arrived: bool, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[list[Operation]] = []

    def die_at_the_second(operations: list[Operation]) -> list[Outcome]:
        calls.append(operations)
        plans = list((world.home.deliveries / "plans" / "vips").glob("*.parquet"))
        assert plans, "frozen before anything is sent"
        assert (world.home.deliveries / "in_flight" / "vips.json").exists()
        if len(calls) == 2:
            raise PowerCut
        return accept(operations)

    crm = Recorder(die_at_the_second, batch_size=2)
    world.want(people(5))
    with pytest.raises(PowerCut):
        world.deliver(crm)
    crm.answer = accept
    crm.requests.clear()
    world.deliver(crm)
    assert [[o.row_key for o in request] for request in crm.requests] == [["k002", "k003"], ["k004"]]
    assert crm.requests[0] == calls[1], "same rows, same keys"
    assert any("died while sending 2 rows" in line for line in caplog.messages)
    unknown = [row for row in world.ledger() if row["code"] == "unknown"]
    assert {row["message"] for row in unknown} == {"the process ended before the answer came"}
    assert {(row["run_id"], row["status"], row["attempt"]) for row in unknown} == {("run_1", "failed", 1)}
    assert not (world.home.deliveries / "in_flight" / "vips.json").exists()


def test_a_repeat_with_other_values_gets_other_keys(world: World) -> None:
    crm = failing()
    crm.answer = lambda operations: (_ for _ in ()).throw(PowerCut())
    world.want(people(1))
    with pytest.raises(PowerCut):
        world.deliver(crm)
    world.want(people(1, spend_usd=7.0))
    crm.answer = accept
    world.deliver(crm)
    died, sent = crm.requests[0][0], crm.requests[1][0]
    assert died.idempotency_key != sent.idempotency_key
    assert (sent.operation, sent.fields["spend_usd"]) == ("add", 7.0)


def test_a_death_after_the_ledger_was_written_repeats_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(ledger: Ledger, sync: str) -> None:
        raise PowerCut

    crm = Recorder()
    world.want(people(2))
    with monkeypatch.context() as patched:
        patched.setattr(in_flight, "unmark", die)
        with pytest.raises(PowerCut):
            world.deliver(crm)
    crm.sent()
    assert world.deliver(crm).planned["add"] == 0
    assert crm.sent() == []
    assert len(world.ledger()) == 2


def test_a_marker_that_cannot_be_read_stops_and_tells(world: World) -> None:
    world.want(people(1))
    marker = world.home.deliveries / "in_flight" / "vips.json"
    marker.parent.mkdir(parents=True)
    marker.write_text("{")
    crm = Recorder()
    with pytest.raises(NeedsAPerson, match=r"in_flight/vips\.json.*delete the marker"):
        world.deliver(crm)
    assert crm.requests == []
