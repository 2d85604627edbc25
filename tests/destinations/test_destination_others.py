"""What Customer.io, Braze, Segment and Slack do beyond what every kind must keep."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.destinations.base import Destination, Operation
from cdp_orchestration.errors import NeedsAPerson, NoAnswer
from cdp_orchestration.kinds import DESTINATIONS
from tests.destinations.conformance import PATIENCE, HttpKind, kinds
from tests.support.stand_in import Answer, StandIn, standing_in

OK: dict[str, Answer] = {
    "customerio": (200, {}, {}), "braze": (201, {}, {"message": "success"}), "segment": (200, {}, {"success": True}),
    "slack": (200, {}, "ok"),
}  # fmt: skip


@contextmanager
def talking(
    name: str, mode: Any = "mirror", answer: Any = None, **target: Any
) -> Iterator[tuple[Destination, StandIn]]:
    kind, made = kinds()[name], DESTINATIONS[name]
    assert isinstance(kind, HttpKind)
    with standing_in(lambda _: answer or OK[name]) as server:
        config = made.Config.model_validate({"kind": name, **kind.config, "url": server.url, **PATIENCE})
        destination = made(config, Path("/nowhere"), made.Target.model_validate(target), mode)
        yield destination, server
        destination.close()


def event(**fields: Any) -> Operation:
    return Operation("add", "m1", fields, "m1", {"id": "A", "external_id": "A", "user_id": "A"})


EVENT = {"event_name": "Order Completed", "occurred_at": "2026-02-03T04:05:06.000007Z", "total": 9.5}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "customerio",
            {"type": "person", "identifiers": {"id": "A"}, "action": "event", "name": "Order Completed", "timestamp": 1770091506,
             "attributes": {"total": 9.5}},
        ),
        ("braze", {"external_id": "A", "name": "Order Completed", "time": "2026-02-03T04:05:06.000007Z", "properties": {"total": 9.5}}),
        (
            "segment",
            {"userId": "A", "messageId": "m1", "type": "track", "event": "Order Completed", "properties": {"total": 9.5},
             "timestamp": "2026-02-03T04:05:06.000007Z"},
        ),
    ],
)  # fmt: skip
def test_an_event_is_sent_as_the_vendor_wants_it(name: str, expected: dict[str, Any]) -> None:
    with talking(name, "append") as (destination, server):
        [outcome] = destination.send("s", "r", [event(**EVENT)])
        assert outcome.status == "accepted"
        [[sent]] = [objects for request in server.requests for objects in request.json().values()]
        ulid = sent.pop("id", None)
        assert sent == expected
        if name == "customerio":
            assert ulid
            assert len(ulid) == 26
            assert ulid[0] <= "7"
            destination.send("s", "r", [event(**EVENT)])
            assert server.requests[1].json()["batch"][0]["id"] == ulid, "by which a repeated one is dropped"
        [refused] = destination.send("s", "r", [event(total=1)])
        assert (refused.status, refused.code) == ("refused", "no_event_name")


@pytest.mark.parametrize("name", ["customerio", "segment"])
def test_an_item_that_is_too_large_is_refused_alone(name: str) -> None:
    with talking(name) as (destination, server):
        known = {"id": "A", "user_id": "A"}
        large = Operation("add", "a", {"note": "x" * 40_000}, "k1", known)
        outcomes = destination.send("s", "r", [large, Operation("add", "b", {"note": "x"}, "k2", known)])
    assert [(o.status, o.code) for o in outcomes] == [("refused", "too_large"), ("accepted", outcomes[1].code)]
    assert len(server.requests) == 1


def test_customerio_without_a_segment_deletes_who_leaves() -> None:
    with talking("customerio") as (destination, server):
        destination.send("s", "r", [Operation("remove", "a", {}, "k", {"email": "a@x.io"})])
    assert server.requests[0].json() == {
        "batch": [{"type": "person", "identifiers": {"email": "a@x.io"}, "action": "delete"}]
    }


@pytest.mark.parametrize("errors", [[{"reason": "invalid"}], [{"batch_index": 5, "reason": "invalid"}]])
def test_customerio_that_refuses_nobody_in_particular_is_not_believed(errors: list[Any]) -> None:
    with (
        talking("customerio", answer=(207, {}, {"errors": errors})) as (destination, _),
        pytest.raises(NoAnswer) as told,
    ):
        destination.send("s", "r", [Operation("add", "a", {}, "k", {"id": "A"})])
    assert told.value.may_have_arrived


def test_braze_keeps_members_in_an_array() -> None:
    with talking("braze", array="audiences") as (destination, server):
        known = {"external_id": "A"}
        destination.send("vips", "r", [Operation("add", "a", {"city": None}, "k", known)])
        destination.send("vips", "r", [Operation("remove", "a", {}, "k2", known)])
    assert [request.json()["attributes"] for request in server.requests] == [
        [{"city": None, "audiences": {"add": ["vips"]}, "external_id": "A"}],
        [{"audiences": {"remove": ["vips"]}, "external_id": "A"}],
    ]


def test_braze_updates_only_who_is_there_and_deletes_fifty_at_once() -> None:
    with talking("braze", "update_only") as (destination, server):
        destination.send("s", "r", [Operation("add", "a", {"n": 1}, "k", {"email": "a@x.io"})])
        assert server.requests[0].json()["attributes"] == [{"n": 1, "_update_existing_only": True, "email": "a@x.io"}]
        destination.send(
            "s", "r", [Operation("remove", str(n), {}, str(n), {"external_id": str(n)}) for n in range(70)]
        )
        assert [len(request.json()["external_ids"]) for request in server.requests[1:]] == [50, 20]


def test_braze_says_how_long_to_wait() -> None:
    with talking("braze") as (destination, server):
        server.script = [(429, {"X-Ratelimit-Retry-After": "0.01"}, {}), (429, {"X-Ratelimit-Retry-After": "soon"}, {})]
        destination.config.attempts = 3
        assert destination.send("s", "r", [Operation("add", "a", {}, "k", {"email": "a@x.io"})])[0].status == "accepted"
    assert len(server.requests) == 3


def test_segment_cannot_take_back_without_a_trait() -> None:
    with talking("segment") as (destination, server):
        [outcome] = destination.send("s", "r", [Operation("remove", "a", {}, "k", {"user_id": "A"})])
    assert (outcome.status, outcome.code, len(server.requests)) == ("refused", "cannot_remove", 0)


def test_slack_writes_a_text_that_slack_does_not_read_as_markup() -> None:
    with talking("slack", "append", text="New: {name} <{row_key}> {{x}} {gone}!") as (destination, server):
        [outcome] = destination.send("s", "r", [Operation("add", "a", {"name": "A <b> & c", "gone": None}, "k")])
        assert outcome.status == "accepted"
        assert destination.send("s", "r", [Operation("remove", "a", {}, "k")])[0].code == "cannot_be_unsent"
    assert [request.json()["text"] for request in server.requests] == ["New: A &lt;b&gt; &amp; c <a> {x} !"]


def test_a_slack_text_that_cannot_be_read_is_told_before_anything_is_sent() -> None:
    with pytest.raises(NeedsAPerson, match=r"'target\.text'"), talking("slack", "append", text="New {name"):
        pass
    with (
        talking("slack", "append", answer=(404, {}, "no_service")) as (destination, _),
        pytest.raises(NeedsAPerson, match="'path'"),
    ):
        destination.send("s", "r", [Operation("add", "a", {}, "k")])
