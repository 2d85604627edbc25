"""Meta's audiences beyond what every kind must keep: one schema per request, its error codes, what it does not say."""

from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration.destinations.base import Operation
from cdp_orchestration.errors import CdpError, NeedsAPerson, NoAnswer, Refused
from tests.destinations.conformance import PATIENCE
from tests.destinations.conformance.meta_audience import HASHES, KIND, form
from tests.support.stand_in import standing_in

ROW = Operation("add", "a", {}, "k", {"email": HASHES["a1"]})


def test_people_of_one_request_share_a_schema_and_lack_what_they_lack() -> None:
    rows = [ROW, Operation("add", "b", {}, "k2", {"email": None, "phone": HASHES["b2"], "zip": HASHES["c3"]}),
            Operation("add", "c", {}, "k3", {"email": None, "city": HASHES["d4"]})]  # fmt: skip
    with standing_in(KIND.answering({})) as server:
        outcomes = KIND.made(Path("/nowhere"), url=server.url, **PATIENCE).send("s", "r", rows)
    assert form(server.requests[0])["payload"] == {
        "schema": ["EMAIL", "PHONE", "ZIP"],
        "data": [[HASHES["a1"], "", ""], ["", HASHES["b2"], HASHES["c3"]]],
    }
    assert [(o.status, o.code) for o in outcomes] == [
        ("accepted", "received"),
        ("accepted", "received"),
        ("refused", "no_identifier"),
    ]


@pytest.mark.parametrize(
    ("code", "message", "raised", "told"),
    [
        (190, "Session has expired", NeedsAPerson, "'access_token'"),
        (100, "Invalid parameter", NeedsAPerson, r"'target\.audience'"),
        (1487301, "Custom Audience Unavailable", NeedsAPerson, "audience 238"),
        (2655, "Terms of service has not been accepted", NeedsAPerson, "terms"),
        (80003, "There have been too many calls", NoAnswer, "too many calls"),
        (2, "Service temporarily unavailable", NoAnswer, "temporarily"),
        (2650, "Audience size is too low", Refused, "too low"),
        (99999, "Something else", Refused, "Something else"),
    ],
)
def test_an_error_is_what_its_code_says(code: int, message: str, raised: type[CdpError], told: str) -> None:
    answer: Any = (400, {}, {"error": {"code": code, "message": message}})
    with standing_in(lambda _: answer) as server, pytest.raises(raised, match=told):
        KIND.made(Path("/nowhere"), url=server.url, **PATIENCE).send("s", "r", [ROW])


def test_entries_that_meta_cannot_use_refuse_the_batch() -> None:
    answer: Any = (200, {}, {"audience_id": "238", "num_received": 1, "num_invalid_entries": 1})
    with standing_in(lambda _: answer) as server, pytest.raises(Refused, match="cannot use 1 of 1"):
        KIND.made(Path("/nowhere"), url=server.url, **PATIENCE).send("s", "r", [ROW])


def test_without_an_app_secret_no_proof_is_sent() -> None:
    with standing_in(KIND.answering({})) as server:
        KIND.made(Path("/nowhere"), url=server.url, app_secret=None, **PATIENCE).send("s", "r", [ROW])
    assert server.requests[0].query.keys() == {"access_token"}
