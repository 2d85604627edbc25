"""Meta's Custom Audiences, by a recorded expectation of its documentation; the stand-in keeps one audience."""

import json
import re
import urllib.parse
from typing import Any

from cdp_orchestration.destinations.base import Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request

TOKEN, SECRET = "EAAs3cret", "app-s3cret"
USERS = "/v25.0/238/users"
HASHES = {name: f"{name}{'0' * 62}" for name in ("a1", "b2", "c3", "d4")}
KEYS = {"EMAIL", "PHONE", "EXTERN_ID", "MADID", "FN", "LN", "CT", "ST", "ZIP", "COUNTRY", "GEN", "DOBY", "DOBM", "DOBD"}


def form(request: Request) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in urllib.parse.parse_qsl(request.body.decode())}


class MetaAudience(HttpKind):
    def expected(self, request: Request) -> list[str]:
        said = form(request)
        payload, session = said.get("payload", {}), said.get("session", {})
        faults = [] if request.path == USERS and request.method in ("POST", "DELETE") else ["no such call"]
        if request.query.get("access_token") != [TOKEN] or "appsecret_proof" not in request.query:
            faults.append("no token, or no proof")
        if not payload.get("schema") or set(payload["schema"]) - KEYS:
            faults.append("the schema")
        for row in payload.get("data", []):
            if len(row) != len(payload.get("schema", [])):
                faults.append("a row of another width")
            faults += [
                f"{key} is no hash"
                for key, value in zip(payload.get("schema", []), row, strict=False)
                if key not in ("EXTERN_ID", "MADID") and value and not re.fullmatch("[0-9a-f]{64}", value)
            ]
        if session.keys() != {"session_id", "batch_seq", "last_batch_flag", "estimated_num_total"}:
            faults.append("the session")
        return faults

    def answering(self, state: dict[str, Any]) -> Answering:
        def answer(request: Request) -> Answer:
            payload = form(request)["payload"]
            for row in payload["data"]:
                key = str([pair for pair in zip(payload["schema"], row, strict=True) if pair[1]])
                if request.method == "POST":
                    state[key] = True
                else:
                    state.pop(key, None)
            return 200, {}, {"audience_id": "238", "num_received": len(payload["data"]), "num_invalid_entries": 0}

        return answer

    def refusing(self, operation: Operation) -> Answering:
        def answer(request: Request) -> Answer:
            data = form(request)["payload"]["data"]
            bad = [row for row in data if operation.identifiers["email"] in row]
            return 200, {}, {"audience_id": "238", "num_received": len(data), "num_invalid_entries": len(bad)}

        return answer

    def throttled(self) -> list[Answer]:
        return [(400, {}, {"error": {"code": 17, "message": "User request limit reached"}}), *super().throttled()]

    def unauthorized(self) -> Answer:
        return 400, {}, {"error": {"code": 190, "message": "Error validating access token"}}


KIND = MetaAudience(
    name="meta_audience",
    config={"access_token": TOKEN, "app_secret": SECRET},
    target={"audience": "238"},
    secrets=[TOKEN, SECRET],
    secret_field="access_token",
    held=[Operation("add", "c", {}, "key-c", {"email": HASHES["c3"]})],
    operations=[
        Operation("remove", "c", {}, "key-c2", {"email": HASHES["c3"]}),
        Operation("add", "a", {}, "key-a", {"email": HASHES["a1"], "first_name": HASHES["d4"]}),
        Operation("update", "b", {}, "key-b", {"email": HASHES["b2"], "external_id": "C-1"}),
    ],
    identifiers={"email": HASHES["a1"], "first_name": HASHES["d4"]},
    malformed=[
        Request("POST", USERS, {"access_token": [TOKEN]}, {}, b'payload={"schema":["MAIL"],"data":[["x"]]}'),
        Request("DELETE", USERS, {"access_token": [TOKEN]}, {}, b'payload={"schema":["EMAIL"],"data":[["a@x.io"]]}'),
    ],
)
