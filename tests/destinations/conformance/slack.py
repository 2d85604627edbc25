"""Slack's incoming webhooks, by a recorded expectation; the stand-in keeps what was posted."""

from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request

PATH = "/services/T0/B0/s3cret"


class Slack(HttpKind):
    def expected(self, request: Request) -> list[str]:
        body = request.json()
        texts = body.keys() == {"text"} and isinstance(body["text"], str) and body["text"]
        return [] if texts and request.path == PATH else ["no message"]

    def answering(self, state: dict[str, Any]) -> Answering:
        def answer(request: Request) -> Answer:
            state[request.json()["text"]] = True
            return 200, {}, "ok"

        return answer

    def refusing(self, operation: Operation) -> Answering:
        def answer(request: Request) -> Answer:
            return (
                (400, {}, "invalid_payload") if operation.fields["name"] in request.json()["text"] else (200, {}, "ok")
            )

        return answer

    def unauthorized(self) -> Answer:
        return 403, {}, "invalid_token"


KIND = Slack(
    name="slack",
    mode="append",
    config={"path": PATH, "channel": "#vips", "requests_per_second": 10_000},
    target={"text": "New VIP: {name}"},
    secrets=[PATH],
    secret_field="path",
    operations=[Operation("add", "a", {"name": "Änne"}, "key-a"), Operation("add", "b", {"name": "Bo"}, "key-b")],
    malformed=[Request("POST", PATH, {}, {}, b'{"message": "hello"}')],
)
