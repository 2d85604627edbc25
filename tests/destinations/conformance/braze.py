"""Braze, by a recorded expectation of its documentation; the stand-in keeps users."""

from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request

KEY = "s3cret-rest-key"
JSON = {"content-type": "application/json"}


class Braze(HttpKind):
    def expected(self, request: Request) -> list[str]:
        body = request.json()
        if request.path == "/users/delete":
            known = body.keys() & {"external_ids", "email_addresses", "user_aliases", "braze_ids"}
            sizes = [len(ids) for ids in body.values() if isinstance(ids, list)]
            return [] if known == body.keys() and known and sum(sizes) <= 50 else ["not what /users/delete takes"]
        if request.path != "/users/track" or body.keys() - {"attributes", "events", "purchases"}:
            return ["not what /users/track takes"]
        faults = ["more than 75 objects"] if sum(len(objects) for objects in body.values()) > 75 else []
        for each in body.get("attributes", []) + body.get("events", []):
            if not each.keys() & {"external_id", "email", "braze_id", "user_alias", "phone"}:
                faults.append("an object of nobody")
        for event in body.get("events", []):
            faults += [f"an event without {name}" for name in ("name", "time") if not isinstance(event.get(name), str)]
        return faults

    def answering(self, state: dict[str, Any]) -> Answering:
        def answer(request: Request) -> Answer:
            body = request.json()
            if request.path == "/users/delete":
                for known in body.get("external_ids", []) + [each["email"] for each in body.get("email_addresses", [])]:
                    state.pop(known, None)
                return 200, {}, {"deleted": 1, "message": "success"}
            for each in body["attributes"]:
                known = each.get("external_id") or each["email"]
                state.setdefault(known, {}).update(each)
            return 201, {}, {"message": "success", "attributes_processed": len(body["attributes"])}

        return answer

    def refusing(self, operation: Operation) -> Answering:
        def answer(request: Request) -> Answer:
            sent = request.json()["attributes"]
            [bad] = [n for n, each in enumerate(sent) if operation.identifiers.items() <= each.items()]
            error = {"type": "The value provided for 'age' is invalid", "input_array": "attributes", "index": bad}
            return 201, {}, {"message": "success", "attributes_processed": len(sent) - 1, "errors": [error]}

        return answer


KIND = Braze(
    name="braze",
    config={"token": KEY, "workspace": "production"},
    target={"attribute": "is_vip"},
    secrets=[KEY],
    held=[Operation("add", "c", {"city": "Ulm"}, "key-c", {"external_id": "C"})],
    operations=[
        Operation("remove", "c", {"external_id": "C"}, "key-c2", {"external_id": "C"}),
        Operation("add", "a", {"city": "Köln", "age": 7, "gone": None}, "key-a", {"external_id": "A"}),
        Operation("update", "b", {"score": 1.5}, "key-b", {"email": "b@x.io"}),
    ],
    identifiers={"external_id": "A"},
    malformed=[
        Request("POST", "/users/track", {}, JSON, b'{"attributes": [{"city": "Ulm"}]}'),
        Request("POST", "/users/delete", {}, JSON, b'{"ids": ["A"]}'),
    ],
)
