"""Segment's tracking API, by a recorded expectation; the stand-in drops a message that it knows already."""

import base64
from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request

KEY = "s3cret-write-key"
NEEDED = {"identify": {"traits"}, "track": {"event", "properties"}}


class Segment(HttpKind):
    can_refuse_rows = False

    def expected(self, request: Request) -> list[str]:
        faults = [] if request.path == "/v1/batch" and len(request.body) <= 500_000 else ["no batch"]
        for message in request.json().get("batch", [{}]):
            if not message.keys() & {"userId", "anonymousId"}:
                faults.append("a message of nobody")
            if not isinstance(message.get("messageId"), str):
                faults.append("a message without messageId")
            faults += [f"without {name}" for name in NEEDED.get(message.get("type"), {"type"}) - message.keys()]
        return faults

    def answering(self, state: dict[str, Any]) -> Answering:
        def answer(request: Request) -> Answer:
            for message in request.json()["batch"]:
                state.setdefault(message["messageId"], message)
            return 200, {}, {"success": True}

        return answer

    def refusing(self, operation: Operation) -> Answering:
        raise NotImplementedError("Segment refuses no row")


KIND = Segment(
    name="segment",
    config={"write_key": KEY, "source": "crm"},
    target={"trait": "is_vip"},
    secrets=[KEY, base64.b64encode(f"{KEY}:".encode()).decode()],
    secret_field="write_key",
    held=[Operation("add", "c", {"city": "Ulm"}, "key-c", {"user_id": "C"})],
    operations=[
        Operation("remove", "c", {"user_id": "C"}, "key-c2", {"user_id": "C"}),
        Operation("add", "a", {"city": "Köln", "gone": None}, "key-a", {"user_id": "A"}),
        Operation("update", "b", {"score": 1.5}, "key-b", {"anonymous_id": "b-1"}),
    ],
    malformed=[Request("POST", "/v1/batch", {}, {}, b'{"batch": [{"type": "identify", "userId": "A"}]}')],
)
