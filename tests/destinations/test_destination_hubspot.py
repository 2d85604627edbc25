"""HubSpot beyond what every kind must keep: modes, values, and answers that do not say all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.destinations.base import Operation
from cdp_orchestration.destinations.hubspot import HubSpot, HubSpotConfig, HubSpotTarget
from cdp_orchestration.errors import NeedsAPerson, Refused
from tests.destinations.conformance import PATIENCE
from tests.destinations.conformance.hubspot import KIND, TOKEN
from tests.support.stand_in import Answering, StandIn, standing_in


@contextmanager
def talking(
    answering: Answering | None = None, mode: Any = "mirror", **target: Any
) -> Iterator[tuple[HubSpot, StandIn, dict[str, Any]]]:
    state: dict[str, Any] = {}
    with standing_in(answering or KIND.answering(state)) as server:
        config = HubSpotConfig(
            kind="hubspot", token=TOKEN, account="42", url=server.url, requests_per_second=None, **PATIENCE
        )
        hubspot = HubSpot(config, Path("/nowhere"), HubSpotTarget(**target), mode)
        yield hubspot, server, state
        hubspot.close()


def add(email: str | None, **fields: Any) -> Operation:
    return Operation("add", email or "nobody", fields, "key", {"email": email})


def test_values_are_texts() -> None:
    with talking() as (hubspot, server, _):
        hubspot.send(
            "s", "r", [add("a@x.io", n=7, x=1.5, yes=True, no=None, at="2026-02-03T00:00:00.000000Z", day="2026-02-03")]
        )
    assert server.requests[0].json()["inputs"][0]["properties"] == {
        "n": "7", "x": "1.5", "yes": "true", "no": "", "at": "1770076800000", "day": "2026-02-03", "email": "a@x.io",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "outcomes", "city"),
    [
        ("update_only", [("accepted", "written"), ("refused", "not_there")], {"a@x.io": "new"}),
        ("insert_only", [("accepted", "there_already"), ("accepted", "written")], {"a@x.io": "old", "b@x.io": "new"}),
    ],
)
def test_a_mode_asks_first_who_is_there(mode: str, outcomes: list[Any], city: dict[str, str]) -> None:
    with talking(mode=mode) as (hubspot, _, state):
        state["contacts"] = {}
        KIND.answering(state)  # keeps what is there
        hubspot.mode = "upsert"
        hubspot.send("s", "r", [add("a@x.io", city="old")])
        hubspot.mode = mode  # type: ignore[assignment]
        found = hubspot.send("s", "r", [add("A@x.io", city="new"), add("b@x.io", city="new")])
        assert [(outcome.status, outcome.code) for outcome in found] == outcomes
        assert {email: held["city"] for email, held in contacts(hubspot).items()} == city


def contacts(hubspot: HubSpot) -> dict[str, Any]:
    body = {
        "idProperty": "email",
        "inputs": [{"id": "a@x.io"}, {"id": "b@x.io"}],
        "properties": [],
        "propertiesWithHistory": [],
    }
    return {r["properties"]["email"].lower(): r["properties"] for r in hubspot._results("batch/read", body)["results"]}


def test_a_row_that_the_answer_does_not_name_was_not_written() -> None:
    with talking(lambda _: (200, {}, {"status": "COMPLETE", "results": []})) as (hubspot, _, _):
        [outcome] = hubspot.send("s", "r", [add("a@x.io")])
    assert (outcome.status, outcome.code) == ("refused", "no_result")


def test_a_row_without_an_address_is_refused_alone() -> None:
    with talking() as (hubspot, server, _):
        first, second = hubspot.send("s", "r", [add(None), add("a@x.io")])
        assert [len(request.json()["inputs"]) for request in server.requests] == [1]
    assert (first.status, first.code, second.status) == ("refused", "no_identifier", "accepted")
    assert "email" in first.message


def test_a_contact_that_cannot_be_put_on_the_list_is_refused() -> None:
    state: dict[str, Any] = {}
    takes = KIND.answering(state)

    def answer(request: Any) -> Any:
        if "/memberships/" in request.path:
            return (
                200,
                {},
                {"recordIdsMissing": request.json()[:1], "recordIdsRemoved": [], "recordsIdsAdded": request.json()[1:]},
            )
        return takes(request)

    with talking(answer, list="7") as (hubspot, _, _):
        found = hubspot.send("s", "r", [add("a@x.io"), add("b@x.io")])
    assert [(outcome.status, outcome.code) for outcome in found] == [
        ("refused", "not_on_list"),
        ("accepted", "written"),
    ]


@pytest.mark.parametrize(
    ("status", "told"), [(404, "there is no list 7 in account 42"), (400, "list 7 takes no members")]
)
def test_a_list_that_cannot_be_used_needs_a_person(status: int, told: str) -> None:
    takes = KIND.answering({})

    def answer(request: Any) -> Any:
        return (status, {}, {"message": "no"}) if "/memberships/" in request.path else takes(request)

    with talking(answer, list="7") as (hubspot, _, _), pytest.raises(NeedsAPerson, match=told) as caught:
        hubspot.send("s", "r", [add("a@x.io")])
    assert "target.list" in str(caught.value)


def test_a_batch_that_is_refused_whole_is_for_delivery_to_halve() -> None:
    refused = (400, {}, {"message": "Duplicate IDs found in batch input"})
    with talking(lambda _: refused) as (hubspot, _, _), pytest.raises(Refused, match="Duplicate"):
        hubspot.send("s", "r", [add("a@x.io"), add("a@x.io")])


def test_without_a_list_a_removal_archives_who_is_there() -> None:
    with talking() as (hubspot, server, state):
        hubspot.send("s", "r", [add("a@x.io")])
        removals = [Operation("remove", e, {}, "k", {"email": e}) for e in ("a@x.io", "stranger@x.io")]
        assert {outcome.status for outcome in hubspot.send("s", "r", removals)} == {"accepted"}
        assert state["contacts"] == {}
        assert [r.path.rpartition("/")[2] for r in server.requests] == ["upsert", "read", "archive"]


def test_people_may_be_known_by_a_property_of_ones_own() -> None:
    with talking(id_property="customer_id") as (hubspot, server, _):
        hubspot.send("s", "r", [Operation("add", "a", {"city": "Ulm"}, "k", {"unique_property": "C-1"})])
    [sent] = json.loads(server.requests[0].body)["inputs"]
    assert (sent["id"], sent["idProperty"], sent["properties"]) == (
        "C-1",
        "customer_id",
        {"city": "Ulm", "customer_id": "C-1"},
    )
    assert hubspot.address() == "account 42"
