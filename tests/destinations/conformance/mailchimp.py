"""Mailchimp, judged by its Marketing API's document; the stand-in keeps one audience and its tags."""

import base64
from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request
from tests.support.vendor_spec import VendorSpec

KEY = "0123456789abcdef-us21"
JSON = {"content-type": "application/json"}
LIST = "/3.0/lists/57"


class Mailchimp(HttpKind):
    def faults(self, request: Request) -> list[str]:
        if request.path.endswith("/actions/delete-permanent"):  # not in the document that we have
            return ["a body where none is described"] if request.body else []
        return super().faults(request)

    def answering(self, state: dict[str, Any]) -> Answering:
        members = state.setdefault("members", {})
        tagged = state.setdefault("tagged", [])

        def answer(request: Request) -> Answer:
            if request.path == LIST:
                return 200, {}, _written(members, request.json())
            if request.path == f"{LIST}/segments":
                return 200, {}, {"segments": [{"id": 9, "name": "buyers"}]}
            if request.path == f"{LIST}/segments/9":
                body = request.json()
                tagged.extend(e for e in body.get("members_to_add", []) if e not in tagged)
                tagged[:] = [e for e in tagged if e not in body.get("members_to_remove", [])]
                return 200, {}, {"members_added": [], "members_removed": [], "errors": [], "error_count": 0}
            _, _, hashed = request.path.removesuffix("/actions/delete-permanent").rpartition("/")
            for email in [email for email in members if _hash(email) == hashed]:
                del members[email]
                return 204, {}, ""
            return 404, {}, {"title": "Resource Not Found"}

        return answer

    def refusing(self, operation: Operation) -> Answering:
        members: dict[str, Any] = {}

        def answer(request: Request) -> Answer:
            if request.path != LIST:
                return self.answering({})(request)
            body = request.json()
            bad = operation.identifiers["email"]
            said = _written(members, {**body, "members": [m for m in body["members"] if m["email_address"] != bad]})
            said["errors"].append(
                {"email_address": bad, "error": "looks fake or invalid", "error_code": "ERROR_GENERIC"}
            )
            return 200, {}, {**said, "error_count": len(said["errors"])}

        return answer


def _hash(email: str) -> str:
    import hashlib

    return hashlib.md5(email.encode()).hexdigest()


def _written(members: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    new, updated, errors = [], [], []
    for member in body["members"]:
        email = member["email_address"]
        if email in members and not body["update_existing"]:
            errors.append(
                {"email_address": email, "error": "is already a list member", "error_code": "ERROR_CONTACT_EXISTS"}
            )
            continue
        (updated if email in members else new).append({"email_address": email})
        members[email] = {**members.get(email, {}), **member}
    return {"new_members": new, "updated_members": updated, "errors": errors, "error_count": len(errors)}


KIND = Mailchimp(
    name="mailchimp",
    config={"api_key": KEY},
    target={"list": "57", "tag": "buyers"},
    secrets=[KEY, base64.b64encode(f"cdp:{KEY}".encode()).decode()],
    secret_field="api_key",
    held=[Operation("add", "c", {"fname": "C"}, "key-c", {"email": "c@x.io"})],
    operations=[
        Operation("remove", "c", {"email": "c@x.io"}, "key-c2", {"email": "c@x.io"}),
        Operation(
            "add", "a", {"fname": "Ä", "spend": 1.5, "is_vip": True, "lname": None}, "key-a", {"email": "a@x.io"}
        ),
        Operation("update", "b", {"fname": "B"}, "key-b", {"email": "b@x.io"}),
    ],
    identifiers={"email": "a@x.io"},
    spec=[VendorSpec("mailchimp_lists.openapi.json", "/3.0")],
    malformed=[
        Request("POST", LIST, {}, JSON, b'{"members": [{"email_address": 7}]}'),
        Request("POST", f"{LIST}/segments", {}, JSON, b'{"static_segment": []}'),
        Request("POST", f"{LIST}/segments/9", {}, JSON, b'{"members_to_add": [7]}'),
        Request("POST", f"{LIST}/members/x/actions/delete-permanent", {}, JSON, b"{}"),
    ],
)
