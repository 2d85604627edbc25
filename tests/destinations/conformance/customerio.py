"""Customer.io, judged by its Track API's document; the stand-in keeps people and one segment."""

import base64
from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request
from tests.support.vendor_spec import VendorSpec

KEY = "s3cret-track-key"
JSON = {"content-type": "application/json"}
BATCH = "/api/v2/batch"


class Customerio(HttpKind):
    def answering(self, state: dict[str, Any]) -> Answering:
        people = state.setdefault("people", {})
        members = state.setdefault("members", [])
        state.setdefault("suppressed", [])

        def answer(request: Request) -> Answer:
            body = request.json()
            if request.path.endswith("_customers"):
                gone = request.path.endswith("remove_customers")
                members[:] = [each for each in members if each not in body["ids"]] + ([] if gone else body["ids"])
                return 200, {}, {}
            for item in body["batch"]:
                [known] = item["identifiers"].values()
                if item["action"] == "identify":
                    people.setdefault(known, {}).update(item["attributes"])
                elif item["action"] == "delete":
                    people.pop(known, None)
                elif known not in state["suppressed"]:
                    state["suppressed"].append(known)
            return 200, {}, {}

        return answer

    def refusing(self, operation: Operation) -> Answering:
        takes = self.answering({})

        def answer(request: Request) -> Answer:
            said = takes(request)
            if request.path != BATCH:
                return said
            bad = [n for n, item in enumerate(request.json()["batch"]) if item["identifiers"] == operation.identifiers]
            errors = [
                {"batch_index": n, "reason": "invalid", "field": "attributes", "message": "value too long"} for n in bad
            ]
            return (207, {}, {"errors": errors}) if errors else said

        return answer


KIND = Customerio(
    name="customerio",
    config={"site_id": "site-1", "api_key": KEY},
    target={"segment": 7},
    secrets=[KEY, base64.b64encode(f"site-1:{KEY}".encode()).decode()],
    secret_field="api_key",
    held=[Operation("add", "c", {"city": "Ulm"}, "key-c", {"id": "C"})],
    operations=[
        Operation("remove", "c", {"id": "C"}, "key-c2", {"id": "C"}),
        Operation("add", "a", {"city": "Köln", "age": 7, "is_vip": True, "gone": None}, "key-a", {"id": "A"}),
        Operation("update", "b", {"score": 1.5}, "key-b", {"email": "b@x.io"}),
    ],
    identifiers={"id": "A"},
    spec=[VendorSpec("customerio_track.openapi.json")],
    malformed=[
        Request("POST", BATCH, {}, JSON, b'{"batch": [{"type": "person", "action": "nonsense"}]}'),
        Request("POST", "/api/v1/segments/7/add_customers", {"id_type": ["id"]}, JSON, b'{"ids": []}'),
        Request("POST", "/api/v1/segments/7/remove_customers", {"id_type": ["id"]}, JSON, b"{}"),
    ],
)
