"""The smallest: its document is the README."""

from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request

TOKEN = "s3cret-t0ken"
HELD = [Operation("add", "c", {"email": "c@x.io"}, "key-c", {"email": "c@x.io"})]


class Webhook(HttpKind):
    def expected(self, request: Request) -> list[str]:
        body = request.json()
        faults = [f"{name} is missing" for name in ("sync", "run_id", "operations") if name not in body]
        return faults + [
            f"{operation} lacks a field"
            for operation in body.get("operations", [])
            if operation.keys() != {"operation", "row_key", "idempotency_key", "fields"}
        ]

    def answering(self, state: dict[str, Any]) -> Answering:
        def answer(request: Request) -> Answer:
            for operation in request.json()["operations"]:
                if operation["operation"] == "remove":
                    state.pop(operation["row_key"], None)
                else:
                    state[operation["row_key"]] = operation["fields"]
            return 200, {}, ""

        return answer

    def refusing(self, operation: Operation) -> Answering:
        def answer(request: Request) -> Answer:
            results = [
                {
                    "row_key": sent["row_key"],
                    "status": 422 if sent["row_key"] == operation.row_key else 200,
                    "message": "no",
                }
                for sent in request.json()["operations"]
            ]
            return 200, {}, {"results": results}

        return answer


KIND = Webhook(
    name="webhook",
    config={"token": TOKEN},
    secrets=[TOKEN],
    held=HELD,
    operations=[
        Operation("remove", "c", {"email": "c@x.io"}, "key-c2", {"email": "c@x.io"}),
        Operation("add", "a", {"email": "ü@x.io", "spend_usd": 1.5, "gone": None}, "key-a", {"email": "ü@x.io"}),
        Operation("update", "b", {"email": "b@x.io", "is_vip": True}, "key-b", {"email": "b@x.io"}),
    ],
    malformed=[Request("POST", "/", {}, {}, b'{"sync": "vips", "operations": [{}]}')],
    accepts_anything=True,
)
