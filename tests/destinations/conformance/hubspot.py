"""HubSpot, judged by its own documents; the stand-in keeps contacts and one list."""

from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request
from tests.support.vendor_spec import VendorSpec

TOKEN = "pat-eu1-s3cret"
JSON = {"content-type": "application/json"}
CONTACTS = "/crm/v3/objects/contacts"


class HubSpot(HttpKind):
    def answering(self, state: dict[str, Any]) -> Answering:
        contacts = state.setdefault("contacts", {})  # by address: properties
        members = state.setdefault("members", [])

        def record(email: str) -> dict[str, Any]:
            return {"id": f"9{sum(email.encode())}", "properties": contacts[email], "createdAt": "2026-01-01T00:00:00Z"}

        def answer(request: Request) -> Answer:
            body = request.json()
            action = request.path.rpartition("/")[2]
            if "/memberships/" in request.path:
                if action == "add":
                    members.extend(each for each in body if each not in members)
                else:
                    members[:] = [each for each in members if each not in body]
                return 200, {}, {"recordIdsMissing": [], "recordIdsRemoved": [], "recordsIdsAdded": body}
            if action == "upsert":
                for sent in body["inputs"]:
                    contacts.setdefault(sent["id"].lower(), {}).update(sent["properties"])
                results = [
                    {**record(sent["id"].lower()), "objectWriteTraceId": sent["objectWriteTraceId"], "new": True}
                    for sent in body["inputs"]
                ]
                return 200, {}, {"status": "COMPLETE", "results": results}
            if action == "read":
                found = [record(sent["id"].lower()) for sent in body["inputs"] if sent["id"].lower() in contacts]
                return (
                    207,
                    {},
                    {
                        "status": "COMPLETE",
                        "results": found,
                        "numErrors": 1,
                        "errors": [{"category": "OBJECT_NOT_FOUND"}],
                    },
                )
            if action == "gdpr-delete":
                return (
                    (204, {}, "")
                    if contacts.pop(body["objectId"].lower(), None)
                    else (404, {}, {"message": "not found"})
                )
            gone = {sent["id"] for sent in body["inputs"]}
            for email in [email for email in contacts if record(email)["id"] in gone]:
                del contacts[email]
            return 204, {}, ""

        return answer

    def refusing(self, operation: Operation) -> Answering:
        takes = self.answering({})

        def answer(request: Request) -> Answer:
            said = takes(request)
            if not request.path.endswith("upsert") or isinstance(said, str):
                return said
            bad = operation.identifiers["email"]
            results = [result for result in said[2]["results"] if result["properties"]["email"] != bad]
            error = {"category": "VALIDATION_ERROR", "message": "age was not a valid number", "context": {"ids": [bad]}}
            return 207, {}, {"status": "COMPLETE", "results": results, "numErrors": 1, "errors": [error]}

        return answer


def _request(path: str, body: bytes, method: str = "POST") -> Request:
    return Request(method, path, {}, JSON, body)


KIND = HubSpot(
    name="hubspot",
    config={"token": TOKEN, "account": "42", "requests_per_second": 1000},
    target={"list": "7"},
    secrets=[TOKEN],
    held=[Operation("add", "c", {"city": "Ulm"}, "key-c", {"email": "c@x.io"})],
    operations=[
        Operation("remove", "c", {"email": "c@x.io"}, "key-c2", {"email": "c@x.io"}),
        Operation(
            "add",
            "a",
            {"city": "Köln", "age": 7, "score": 1.5, "is_vip": True, "gone": None},
            "key-a",
            {"email": "a@x.io"},
        ),
        Operation("update", "b", {"seen": "2026-02-03T04:05:06.000007Z"}, "key-b", {"email": "b@x.io"}),
    ],
    identifiers={"email": "a@x.io"},
    spec=[VendorSpec("hubspot_contacts.openapi.json"), VendorSpec("hubspot_lists.openapi.json")],
    malformed=[
        _request(f"{CONTACTS}/batch/upsert", b'{"inputs": [{"id": "a@x.io", "properties": {"age": 7}}]}'),
        _request(f"{CONTACTS}/batch/read", b'{"inputs": [{"id": 7}]}'),
        _request(f"{CONTACTS}/batch/archive", b'{"inputs": [{}]}'),
        _request(f"{CONTACTS}/gdpr-delete", b'{"email": "a@x.io"}'),
        _request("/crm/v3/lists/7/memberships/add", b"[7]", "PUT"),
        _request("/crm/v3/lists/7/memberships/remove", b'{"ids": []}', "PUT"),
    ],
)
