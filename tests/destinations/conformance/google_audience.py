"""Google's Data Manager API, by Google's own package and a recorded expectation; the stand-in keeps one list."""

import os
import re
from pathlib import Path
from typing import Any

from cdp_orchestration.destinations.base import Destination, Operation
from tests.destinations.conformance import HttpKind
from tests.support.stand_in import Answer, Answering, Request

SECRETS = ["s3cret-client", "s3cret-refresh"]
INGEST, REMOVE = "/v1/audienceMembers:ingest", "/v1/audienceMembers:remove"
HASHES = {name: f"{name}{'0' * 62}" for name in ("a1", "b2", "c3", "d4")}


class GoogleAudience(HttpKind):
    def made(self, root: Path, **config: Any) -> Destination:
        return super().made(root, **{"token_url": f"{config['url']}/token", **config})

    def aside(self, request: Request) -> Answer | None:
        if request.path != "/token":
            return None
        asked = request.body.decode()
        good = all(secret in asked for secret in SECRETS) and "grant_type=refresh_token" in asked
        return (
            (200, {}, {"access_token": "t0ken", "expires_in": 3599}) if good else (401, {}, {"error": "invalid_client"})
        )

    def expected(self, request: Request) -> list[str]:
        body = request.json()
        faults = [] if request.path in (INGEST, REMOVE) else ["no such method"]
        if request.headers.get("authorization") != "Bearer t0ken":
            faults.append("no token")
        known = {"destinations", "audienceMembers", "encoding", "validateOnly", "termsOfService", "consent"}
        faults += [f"unknown field {name}" for name in body.keys() - known]
        if body.get("encoding") != "HEX" or not 1 <= len(body.get("audienceMembers", [])) <= 10_000:
            faults.append("encoding or members")
        for destination in body.get("destinations", [{}]):
            account = destination.get("operatingAccount", {})
            if account.keys() != {"accountType", "accountId"} or not destination.get("productDestinationId"):
                faults.append("a destination without account or list")
        for member in body.get("audienceMembers", []):
            faults += _member_faults(member)
        faults += _by_google(request)
        if request.path == INGEST and body.get("termsOfService") != {"customerMatchTermsOfServiceStatus": "ACCEPTED"}:
            faults.append("the terms are not accepted")
        return faults

    def answering(self, state: dict[str, Any]) -> Answering:
        def answer(request: Request) -> Answer:
            body = request.json()
            for member in body["audienceMembers"]:
                key = str(member["userData"]["userIdentifiers"])
                if body["validateOnly"]:
                    continue
                if request.path == INGEST:
                    state[key] = member.get("consent", {})
                else:
                    state.pop(key, None)
            return 200, {}, {"requestId": "r-1"}

        return answer

    def refusing(self, operation: Operation) -> Answering:
        """The API names no row: it refuses a request as a whole, and delivery halves it."""
        bad = operation.identifiers["email"]

        def answer(request: Request) -> Answer:
            if bad in request.body.decode():
                return 400, {}, {"error": {"status": "INVALID_ARGUMENT", "message": "a member is not valid"}}
            return 200, {}, {"requestId": "r-1"}

        return answer


def _by_google(request: Request) -> list[str]:
    """What Google's own package makes of a request, where it is installed; in CI it is."""
    try:
        from google.ads import datamanager_v1
        from google.protobuf import json_format
    except ImportError:
        return ["google-ads-datamanager is not installed"] if os.environ.get("CI") else []
    kind = {INGEST: "IngestAudienceMembersRequest", REMOVE: "RemoveAudienceMembersRequest"}[request.path]
    message = getattr(datamanager_v1, kind)
    try:
        json_format.ParseDict(request.json(), message.pb(message()))
    except json_format.ParseError as error:
        return [str(error)]
    return []


def _member_faults(member: dict[str, Any]) -> list[str]:
    faults = []
    known = member.get("userData", {}).get("userIdentifiers", [])
    if not 1 <= len(known) <= 10:
        faults.append("a member of nobody")
    for each in known:
        [(name, value)] = each.items()
        if name not in ("emailAddress", "phoneNumber") or not re.fullmatch("[0-9a-f]{64}", value):
            faults.append(f"identifier {name}")
    for name, state in member.get("consent", {}).items():
        if name not in ("adUserData", "adPersonalization") or state not in ("CONSENT_GRANTED", "CONSENT_DENIED"):
            faults.append(f"consent {name}")
    return faults


KIND = GoogleAudience(
    name="google_audience",
    config={
        "account_id": "1234567890", "login_account_id": "99", "client_id": "client", "client_secret": SECRETS[0],
        "refresh_token": SECRETS[1], "accepted_terms": True, "requests_per_second": 10_000,
    },
    target={"list": "77"},
    secrets=SECRETS,
    secret_field="refresh_token",
    held=[Operation("add", "c", {"ad_user_data": "granted"}, "key-c", {"email": HASHES["c3"]})],
    operations=[
        Operation("remove", "c", {}, "key-c2", {"email": HASHES["c3"]}),
        Operation("add", "a", {"ad_user_data": "granted", "ad_personalization": "denied"}, "key-a", {"email": HASHES["a1"]}),
        Operation("update", "b", {}, "key-b", {"email": HASHES["b2"], "phone": HASHES["d4"]}),
    ],
    identifiers={"email": HASHES["a1"]},
    malformed=[Request("POST", INGEST, {}, {}, b'{"audienceMembers": [{"userData": {"userIdentifiers": [{"addressInfo": {}}]}}]}')],
)  # fmt: skip
