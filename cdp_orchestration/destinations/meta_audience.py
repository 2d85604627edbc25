"""Meta's Custom Audiences: people by hashed addresses, numbers and names.

Additions are posted, removals deleted, under the identifiers as they were sent. Meta counts the entries that it cannot use and
does not say which: a batch with such entries is refused as a whole, so that delivery halves it until each stands alone; sending
the others again does no harm. What an audience matched is shown in Meta's own pages, up to a day later.

Source: Meta's documentation of the Marketing API, Customer File Custom Audiences. Not confirmed against an account.
"""

import hashlib
import hmac
import json
import urllib.parse
from typing import Any, ClassVar

import pydantic
import requests

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.errors import CdpError, NeedsAPerson, Refused
from cdp_orchestration.http_client import HttpConfig, Wait

_SCHEMA = {
    "email": "EMAIL", "phone": "PHONE", "external_id": "EXTERN_ID", "mobile_ad_id": "MADID", "first_name": "FN",
    "last_name": "LN", "city": "CT", "state": "ST", "zip": "ZIP", "country": "COUNTRY", "gender": "GEN", "birth_year": "DOBY",
    "birth_month": "DOBM", "birth_day": "DOBD",
}  # fmt: skip
_STRONG = ("email", "phone", "external_id", "mobile_ad_id")
# Meta's error codes: wait; a person must renew the token; a person must look at the audience, the terms or the account.
_WAIT = {1, 2, 4, 17, 341, 368, 613, 5000, 21009, 80003, 80004}
_TOKEN = {10, 102, 190, 200}
_STOP = {100, 105, 294, 2650, 2655, 1487301, 1487366}


class MetaAudienceConfig(DestinationConfig, HttpConfig):
    """An ad account's app, reached with a system user's token."""

    url: str = pydantic.Field(default="https://graph.facebook.com", description="Address of the Graph API.")
    version: str = pydantic.Field(default="v25.0", description="Version of the API.")
    access_token: pydantic.SecretStr = pydantic.Field(
        description="A system user's token with ads_management. Take it from the environment."
    )
    app_secret: pydantic.SecretStr | None = pydantic.Field(
        default=None, description="The app's secret, where the app demands proof of it (appsecret_proof)."
    )
    batch_size: int = pydantic.Field(
        default=5000, ge=1, le=10_000, description="The most people in a request; Meta takes 10,000."
    )


class MetaAudienceTarget(SyncTarget):
    """What a sync says to Meta."""

    audience: str = pydantic.Field(min_length=1, description="Id of the custom audience (customer file).")


class MetaAudience(ApiDestination):
    """The destination kind `meta_audience`."""

    kind: ClassVar[str] = "meta_audience"
    Config: ClassVar[type[DestinationConfig]] = MetaAudienceConfig
    Target: ClassVar[type[SyncTarget]] = MetaAudienceTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert")
    identifiers: ClassVar[dict[str, str]] = {kind: f"meta_{kind}" for kind in _SCHEMA}
    removal: ClassVar[str] = "removes the person from the audience, by what was sent"

    def _authorization(self) -> tuple[str, str]:
        return "", "access_token"

    def _secrets(self) -> list[str]:
        return [secret.get_secret_value() for secret in (self.config.access_token, self.config.app_secret) if secret]

    def address(self) -> str:
        return f"audience {self.target.audience}"

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """A request for removals, one for additions. Raises Refused, NoAnswer, NeedsAPerson."""
        outcomes: dict[int, Outcome] = {}
        for method, removes in (("DELETE", True), ("POST", False)):
            people: dict[int, dict[str, Any]] = {}
            for place, operation in enumerate(operations):
                if (operation.operation == "remove") != removes:
                    continue
                if any(operation.identifiers.get(kind) for kind in _STRONG):
                    people[place] = operation.identifiers
                else:
                    message = f"the row has none of {', '.join(_STRONG)}"
                    outcomes[place] = Outcome(operation.row_key, "refused", "no_identifier", message)
            if people:
                keys = "|".join(operations[place].idempotency_key for place in people)
                self._change(method, list(people.values()), keys)
                outcomes |= {place: Outcome(operations[place].row_key, "accepted", "received") for place in people}
        return [outcomes[place] for place in range(len(operations))]

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """Removes the person from the audience."""
        if not any(identifiers.get(kind) for kind in _STRONG):
            return Outcome("", "refused", "no_identifier", f"none of {', '.join(_STRONG)} is given")
        self._change("DELETE", [identifiers], json.dumps(identifiers, sort_keys=True))
        return Outcome("", "accepted", "removed")

    def _change(self, method: str, people: list[dict[str, Any]], keys: str) -> None:
        kinds = [kind for kind in _SCHEMA if any(person.get(kind) for person in people)]
        payload = {
            "schema": [_SCHEMA[kind] for kind in kinds],
            "data": [[str(person.get(kind) or "") for kind in kinds] for person in people],
        }
        session = {
            "session_id": int(hashlib.md5(keys.encode()).hexdigest()[:15], 16),
            "batch_seq": 1,
            "last_batch_flag": True,
            "estimated_num_total": len(people),
        }
        token = self.config.access_token.get_secret_value()
        query = {"access_token": token}
        if self.config.app_secret:
            secret = self.config.app_secret.get_secret_value()
            query["appsecret_proof"] = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        form = urllib.parse.urlencode(
            {"payload": json.dumps(payload, ensure_ascii=False), "session": json.dumps(session)}
        )
        path = f"/{self.config.version}/{self.target.audience}/users"
        url = f"{self.config.url.rstrip('/')}{path}?{urllib.parse.urlencode(query)}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        content = self._content(
            self._http.request(method, url, form.encode(), headers), "num_received", "num_invalid_entries"
        )
        if content["num_invalid_entries"]:
            raise Refused(
                f"Meta cannot use {content['num_invalid_entries']} of {len(people)} entries", "invalid_entries"
            )

    def _verdict(self, answer: requests.Response) -> Wait | CdpError | None:
        try:
            error = answer.json()["error"]
            code, message = int(error["code"]), self._http.clean(str(error.get("message") or ""))
        except (ValueError, KeyError, TypeError):
            return None
        if "audience size" in message.lower():  # Meta keeps the last few people of an audience
            return Refused(message, str(code))
        if code in _WAIT:
            return Wait()
        if code in _TOKEN:
            return NeedsAPerson(
                f"{self.kind}: Meta refuses the credentials: {message}. Renew the field 'access_token'.", str(code)
            )
        if code in _STOP:
            return NeedsAPerson(
                f"{self.kind}: Meta takes nobody for audience {self.target.audience}: {message}. Check the field 'target.audience' of "
                "the sync, and the account's terms.",
                str(code),
            )
        return None
