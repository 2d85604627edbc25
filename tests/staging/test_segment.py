"""Segment's envelopes (`{"batch": [...]}`) mean what the messages in them mean alone."""

import json
from pathlib import Path

import pytest

from tests.identity.test_identity import PROJECT, Landing, Page, Record, prepare
from tests.support.harness import Platform, dbt

AT = "2026-05-01T00:00:0{}Z"


def message(number: int, kind: str, **fields: object) -> dict[str, object]:
    return {"type": kind, "messageId": f"m{number}", "userId": "ada", "timestamp": AT.format(number), **fields}


SAID = [
    message(1, "identify", traits={"plan": "gold", "city": "Porto", "address": {"street": "Rua 1", "floor": None}}),
    message(2, "identify", traits={"plan": None}),
    message(
        3,
        "track",
        event="Basket Seen",
        properties={"coupon": None, "items": [None, 1]},
        context={"page": {"path": "/b"}},
    ),
]


@pytest.mark.parametrize("enveloped", [False, True], ids=["alone", "in an envelope"])
def test_a_null_is_a_value(enveloped: bool, tmp_path: Path) -> None:
    """A null trait removes the trait, a null property stays one, inside of an envelope as outside."""
    platform = Platform(tmp_path)
    prepare(tmp_path)
    received = {"receivedAt": AT.format(9)}
    context = {"ip": "10.0.0.1", "page": {"path": "/a", "title": "A"}}
    bodies = (
        [{"batch": SAID, "context": context, **received}]
        if enveloped
        else [{**one, "context": {**context, **one.get("context", {})}, **received} for one in SAID]
    )
    Landing(tmp_path / "landing").land(
        "inbox", "messages", [Page([Record(json.dumps(b), file="a.jsonl") for b in bodies], {})]
    )
    done = dbt(PROJECT, tmp_path, "build", "--select", "+traits", "--exclude-resource-type", "unit_test", "test")
    assert done.returncode == 0, done.stdout[-4000:]
    traits = dict(platform.rows("select trait, value from profiles.traits"))
    assert traits.keys() == {"city", "address"}
    assert json.loads(traits["address"]) == {"street": "Rua 1", "floor": None}
    [(properties, held)] = platform.rows("select properties, context from staging.messages where type = 'track'")
    assert json.loads(properties) == {"coupon": None, "items": [None, 1]}
    page = json.loads(held)["page"]
    assert json.loads(held)["ip"] == "10.0.0.1"
    assert page["path"] == "/b"
