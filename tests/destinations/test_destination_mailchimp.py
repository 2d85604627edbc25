"""Mailchimp beyond what every kind must keep: nobody is subscribed again, and what each mode writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.destinations.base import Operation
from cdp_orchestration.destinations.mailchimp import Mailchimp, MailchimpConfig, MailchimpTarget
from cdp_orchestration.errors import NeedsAPerson
from tests.destinations.conformance import PATIENCE
from tests.destinations.conformance.mailchimp import KEY, KIND
from tests.support.stand_in import StandIn, standing_in


@contextmanager
def talking(mode: Any = "mirror", **target: Any) -> Iterator[tuple[Mailchimp, StandIn, dict[str, Any]]]:
    state: dict[str, Any] = {}
    with standing_in(KIND.answering(state)) as server:
        config = MailchimpConfig(kind="mailchimp", api_key=KEY, url=server.url, **PATIENCE)
        mailchimp = Mailchimp(config, Path("/nowhere"), MailchimpTarget(list="57", **target), mode)
        yield mailchimp, server, state
        mailchimp.close()


def add(email: str, **fields: Any) -> Operation:
    return Operation("add", email, fields, "key", {"email": email})


def test_who_unsubscribed_stays_unsubscribed_and_gets_the_new_values() -> None:
    with talking() as (mailchimp, server, state):
        state["members"]["a@x.io"] = {"status": "unsubscribed", "merge_fields": {}}
        found = mailchimp.send("s", "r", [add("a@x.io", fname="A"), add("b@x.io", fname="B")])
        assert {outcome.status for outcome in found} == {"accepted"}
        assert state["members"]["a@x.io"]["status"] == "unsubscribed"
        assert state["members"]["a@x.io"]["merge_fields"] == {"FNAME": "A"}
        assert state["members"]["b@x.io"]["status"] == "subscribed"
    assert [request.json()["update_existing"] for request in server.requests] == [False, True]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("insert_only", [("accepted", "there_already"), ("accepted", "written")]),
        ("update_only", [("accepted", "written"), ("accepted", "written")]),
    ],
)
def test_a_mode_offers_new_members_or_updates(mode: str, expected: list[tuple[str, str]]) -> None:
    with talking(mode=mode, status_if_new="pending") as (mailchimp, server, state):
        state["members"]["a@x.io"] = {"status": "subscribed"}
        found = mailchimp.send("s", "r", [add("a@x.io"), add("b@x.io")])
        assert [(outcome.status, outcome.code) for outcome in found] == expected
    statuses = [member.get("status") for request in server.requests for member in request.json()["members"]]
    assert set(statuses) == ({"pending"} if mode == "insert_only" else {None})


def test_without_a_tag_a_removal_archives() -> None:
    with talking() as (mailchimp, _, state):
        mailchimp.send("s", "r", [add("a@x.io"), add("b@x.io")])
        for _ in range(2):  # again, after a crash: they are not there any more
            [outcome] = mailchimp.send("s", "r", [Operation("remove", "a", {}, "k", {"email": "a@x.io"})])
            assert outcome.status == "accepted"
        assert list(state["members"]) == ["b@x.io"]


def test_a_tag_that_is_not_there_is_made() -> None:
    with talking(tag="new ones") as (mailchimp, server, _):
        server.script = [(200, {}, {"new_members": [{"email_address": "a@x.io"}], "updated_members": [], "errors": []}),
                         (200, {}, {"segments": [{"id": 9, "name": "buyers"}]}), (200, {}, {"id": 10, "name": "new ones"}),
                         (200, {}, {"errors": [{"email_addresses": ["a@x.io"], "error": "not on the list"}]})]  # fmt: skip
        [outcome] = mailchimp.send("s", "r", [add("a@x.io")])
    assert server.requests[2].json() == {"name": "new ones", "static_segment": []}
    assert server.requests[3].path.endswith("/segments/10")
    assert (outcome.status, outcome.code, outcome.message) == ("refused", "not_tagged", "not on the list")


def test_the_keys_end_says_where_the_account_is() -> None:
    mailchimp = Mailchimp(MailchimpConfig(kind="mailchimp", api_key=KEY), Path("/nowhere"), MailchimpTarget(list="57"))
    assert mailchimp.config.url == "https://us21.api.mailchimp.com"
    assert not mailchimp.is_local()
    with pytest.raises(NeedsAPerson, match="'api_key' does not end with its data centre") as told:
        Mailchimp(MailchimpConfig(kind="mailchimp", api_key="secret"), Path("/nowhere"), MailchimpTarget(list="57"))
    assert "secret" not in str(told.value)
