"""Customer lists of Google Ads and Display & Video 360, through Google's Data Manager API.

Members are added and removed by hashed e-mail addresses and phone numbers. Consent travels with each member, as the EU's Digital
Markets Act asks: the model's columns ad_user_data and ad_personalization are granted, denied or null (unspecified); a member whose
ad_user_data is denied is refused here and not sent.

Google takes a request and works it off later: accepted says that Google took the member, and what it matched is shown in Google's
own pages. Source: Google's documentation of the Data Manager API v1.
"""

import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.errors import NeedsAPerson, NoAnswer, Refused
from cdp_orchestration.http_client import HttpClient, HttpConfig

_STATES = {"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}
_CONSENTS = {"ad_user_data": "adUserData", "ad_personalization": "adPersonalization"}


class GoogleAudienceConfig(DestinationConfig, HttpConfig):
    """An advertiser's account, reached with the refresh token of somebody who may edit its lists."""

    url: str = pydantic.Field(
        default="https://datamanager.googleapis.com", description="Address of the Data Manager API."
    )
    version: str = pydantic.Field(default="v1", description="Version of the API.")
    account_type: Literal["GOOGLE_ADS", "DISPLAY_VIDEO_ADVERTISER"] = pydantic.Field(
        default="GOOGLE_ADS", description="What the account is: Google Ads or Display & Video 360."
    )
    account_id: str = pydantic.Field(min_length=1, description="The advertiser's account, digits without hyphens.")
    login_account_id: str | None = pydantic.Field(
        default=None, description="The manager account that the credentials belong to, where it is another one."
    )
    client_id: str = pydantic.Field(min_length=1, description="OAuth client id.")
    client_secret: pydantic.SecretStr = pydantic.Field(description="OAuth client secret. Take it from the environment.")
    refresh_token: pydantic.SecretStr = pydantic.Field(
        description="OAuth refresh token with the scope https://www.googleapis.com/auth/datamanager. Take it from the environment."
    )
    token_url: str = pydantic.Field(
        default="https://oauth2.googleapis.com/token", description="Where tokens are refreshed."
    )
    accepted_terms: bool = pydantic.Field(
        default=False,
        description="Whether you accepted Google's Customer Match terms for this account.",
    )
    batch_size: int = pydantic.Field(
        default=5000, ge=1, le=10_000, description="The most members in a request; Google takes 10,000."
    )
    requests_per_second: float | None = pydantic.Field(
        default=4, gt=0, description="The most requests in a second; Google takes 300 a minute."
    )


class GoogleAudienceTarget(SyncTarget):
    """What a sync says to Google."""

    list: str = pydantic.Field(min_length=1, description="Id of the customer list.")


class GoogleAudience(ApiDestination):
    """The destination kind `google_audience`."""

    kind: ClassVar[str] = "google_audience"
    Config: ClassVar[type[DestinationConfig]] = GoogleAudienceConfig
    Target: ClassVar[type[SyncTarget]] = GoogleAudienceTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert")
    identifiers: ClassVar[dict[str, str]] = {"email": "google_email", "phone": "google_phone"}
    removal: ClassVar[str] = "removes the member from the list"

    def __init__(
        self, config: GoogleAudienceConfig, home_root: Path, target: Any = None, mode: Mode = "mirror"
    ) -> None:
        super().__init__(config, home_root, target, mode)
        if not config.accepted_terms:
            raise NeedsAPerson(
                "google_audience: field 'accepted_terms' is not true. Accept the Customer Match terms in Google Ads or Display & "
                "Video 360, then set it."
            )
        self._token: tuple[str, float] = ("", 0.0)
        self._tokens = HttpClient(
            self.kind, config, "Nothing was sent.", secret_field="refresh_token", secrets=self._secrets()
        )

    def _authorization(self) -> tuple[str, str]:
        return "", "refresh_token"

    def _secrets(self) -> list[str]:
        return [self.config.client_secret.get_secret_value(), self.config.refresh_token.get_secret_value()]

    def address(self) -> str:
        return f"{self.config.account_type} {self.config.account_id}, list {self.target.list}"

    def close(self) -> None:
        super().close()
        self._tokens.close()

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """A request for removals, one for additions. Raises Refused, NoAnswer, NeedsAPerson."""
        return self._carried_out(operations, validate_only=False)

    def validate(self, operations: list[Operation]) -> list[Outcome]:
        """What Google would say to them; nothing is changed."""
        return self._carried_out(operations, validate_only=True)

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """Removes the person from the list; Google keeps nobody of a list beside its members."""
        [outcome] = self._carried_out([Operation("remove", "", {}, "", identifiers)], validate_only=False)
        return outcome

    def _carried_out(self, operations: list[Operation], validate_only: bool) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        for removes in (True, False):
            members: dict[int, dict[str, Any]] = {}
            for place, operation in enumerate(operations):
                if (operation.operation == "remove") == removes:
                    member = self._member(operation)
                    if isinstance(member, Outcome):
                        outcomes[place] = member
                    else:
                        members[place] = member
            if members:
                self._ask("remove" if removes else "ingest", list(members.values()), validate_only)
                outcomes |= {place: Outcome(operations[place].row_key, "accepted", "taken") for place in members}
        return [outcomes[place] for place in range(len(operations))]

    def _member(self, operation: Operation) -> dict[str, Any] | Outcome:
        known = [
            {name: str(operation.identifiers[kind])}
            for kind, name in (("email", "emailAddress"), ("phone", "phoneNumber"))
            if operation.identifiers.get(kind)
        ]
        if not known:
            return Outcome(operation.row_key, "refused", "no_identifier", "the row has neither email nor phone")
        member: dict[str, Any] = {"userData": {"userIdentifiers": known}}
        if operation.operation == "remove":
            return member
        consent = {}
        for column, name in _CONSENTS.items():
            state = operation.fields.get(column)
            if state is not None and state not in _STATES:
                message = f"column {column} is {state!r}: use granted, denied or null"
                return Outcome(operation.row_key, "refused", "no_consent_state", message)
            if state is not None:
                consent[name] = _STATES[state]
        if consent.get("adUserData") == "CONSENT_DENIED":
            return Outcome(operation.row_key, "refused", "consent_denied", "ad_user_data is denied")
        return member | ({"consent": consent} if consent else {})

    def _ask(self, action: str, members: list[dict[str, Any]], validate_only: bool) -> None:
        account = {"accountType": self.config.account_type, "accountId": self.config.account_id}
        destination: dict[str, Any] = {"operatingAccount": account, "productDestinationId": self.target.list}
        if self.config.login_account_id:
            destination["loginAccount"] = account | {"accountId": self.config.login_account_id}
        body: dict[str, Any] = {
            "destinations": [destination],
            "audienceMembers": members,
            "encoding": "HEX",
            "validateOnly": validate_only,
        }
        if action == "ingest":
            body["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        self._asked("POST", f"/{self.config.version}/audienceMembers:{action}", body, "requestId")

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self._access_token()}"}

    def _access_token(self) -> str:
        """Refreshed a minute before it ends."""
        with _REFRESHING:
            token, until = self._token
            if time.monotonic() < until:
                return token
            form = {
                "grant_type": "refresh_token",
                "client_id": self.config.client_id,
                "client_secret": self.config.client_secret.get_secret_value(),
                "refresh_token": self.config.refresh_token.get_secret_value(),
            }
            data = urllib.parse.urlencode(form).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            try:
                content = self._tokens.request("POST", self.config.token_url, data, headers).json()
            except NoAnswer as error:
                raise NoAnswer(str(error), error.code, may_have_arrived=False) from None
            except Refused as refusal:  # invalid_grant, invalid_client
                raise NeedsAPerson(
                    f"{self.kind}: Google refuses the credentials ({refusal}). Check the fields 'client_id', 'client_secret' and "
                    "'refresh_token'.",
                    refusal.code,
                ) from None
            except ValueError:
                raise NoAnswer(f"{self.kind}: {self.config.token_url} answers no JSON.", "senseless", False) from None
            self._token = (str(content["access_token"]), time.monotonic() + int(content.get("expires_in", 3600)) - 60)
            return self._token[0]


_REFRESHING = threading.Lock()
