"""Google audiences beyond what every kind must keep: consent per member, terms, tokens, validation alone."""

from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.destinations.base import Operation
from cdp_orchestration.destinations.google_audience import GoogleAudience
from cdp_orchestration.errors import NeedsAPerson, NoAnswer
from tests.destinations.conformance import PATIENCE
from tests.destinations.conformance.google_audience import HASHES, KIND
from tests.support.stand_in import Request, standing_in

EMAIL = {"email": HASHES["a1"]}


def made(url: str, **config: Any) -> GoogleAudience:
    destination = KIND.made(Path("/nowhere"), url=url, **PATIENCE, **config)
    assert isinstance(destination, GoogleAudience)
    return destination


def test_consent_travels_with_each_member_and_a_denial_is_not_sent() -> None:
    rows = [
        Operation("add", "granted", {"ad_user_data": "granted"}, "1", EMAIL),
        Operation("add", "unknown", {"ad_user_data": None, "ad_personalization": None}, "2", EMAIL),
        Operation("add", "denied", {"ad_user_data": "denied"}, "3", EMAIL),
        Operation("add", "odd", {"ad_user_data": "yes"}, "4", EMAIL),
    ]
    with standing_in(KIND.answering({}), aside=KIND.aside) as server:
        outcomes = made(server.url).send("s", "r", rows)
    assert [(o.row_key, o.status, o.code) for o in outcomes] == [
        ("granted", "accepted", "taken"), ("unknown", "accepted", "taken"), ("denied", "refused", "consent_denied"),
        ("odd", "refused", "no_consent_state"),
    ]  # fmt: skip
    members = server.requests[0].json()["audienceMembers"]
    assert [member.get("consent") for member in members] == [{"adUserData": "CONSENT_GRANTED"}, None]


def test_without_accepted_terms_nothing_begins() -> None:
    with pytest.raises(NeedsAPerson, match="'accepted_terms'"):
        made("http://127.0.0.1:1", accepted_terms=False)


def test_a_token_is_refreshed_once_and_again_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed = []

    def aside(request: Request) -> Any:
        if request.path != "/token":
            return None
        refreshed.append(request)
        return 200, {}, {"access_token": "t0ken", "expires_in": 3600 if len(refreshed) > 1 else 60}

    with standing_in(KIND.answering({}), aside=aside) as server:
        destination = made(server.url)
        for _ in range(3):
            destination.send("s", "r", [Operation("add", "a", {}, "k", EMAIL)])
    assert len(refreshed) == 2


def test_a_refused_refresh_token_needs_a_person_and_a_lost_one_sends_nothing() -> None:
    row = [Operation("add", "a", {}, "k", EMAIL)]
    with standing_in(KIND.answering({}), aside=KIND.aside) as server:
        with pytest.raises(NeedsAPerson, match="'refresh_token'"):
            made(server.url, refresh_token="another").send("s", "r", row)
        assert server.requests == []
    with standing_in(lambda _: (503, {}, "down")) as server, pytest.raises(NoAnswer) as told:
        made(server.url).send("s", "r", row)
    assert not told.value.may_have_arrived, "no member was sent"


def test_validating_changes_nothing() -> None:
    state: dict[str, Any] = {}
    with standing_in(KIND.answering(state), aside=KIND.aside) as server:
        assert made(server.url).validate([Operation("add", "a", {}, "k", EMAIL)])[0].status == "accepted"
    assert (state, server.requests[0].json()["validateOnly"]) == ({}, True)


def test_display_and_video_is_another_account_type() -> None:
    with standing_in(KIND.answering({}), aside=KIND.aside) as server:
        destination = made(server.url, account_type="DISPLAY_VIDEO_ADVERTISER", login_account_id=None)
        destination.send("s", "r", [Operation("add", "a", {}, "k", EMAIL)])
        assert destination.address() == "DISPLAY_VIDEO_ADVERTISER 1234567890, list 77"
    assert server.requests[0].json()["destinations"] == [
        {
            "operatingAccount": {"accountType": "DISPLAY_VIDEO_ADVERTISER", "accountId": "1234567890"},
            "productDestinationId": "77",
        }
    ]
