"""Members of a Mailchimp audience, and one of its tags.

New members get the status that the target names; nobody's status is changed afterwards, so that a person who unsubscribed
stays unsubscribed: a batch is first offered as new members, and those who are there already are updated without a status.
With a tag, a removal takes the tag away; without one it archives the member, who can come back.

Mailchimp answers 200 and names the refused addresses under `errors`; whoever is neither there nor among the new and updated
members was not written. Source: Mailchimp's Marketing API 3.0. Not confirmed: that a batch that updates may leave `status` out.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.errors import NeedsAPerson, Refused
from cdp_orchestration.http_client import HttpConfig

_EXISTS = "ERROR_CONTACT_EXISTS"


class MailchimpConfig(DestinationConfig, HttpConfig):
    """An account, reached with an API key."""

    api_key: pydantic.SecretStr = pydantic.Field(description="API key, e.g. 0123…-us21. Take it from the environment.")
    url: str = pydantic.Field(
        default="",
        description="Address of the API; left out: https://<data centre>.api.mailchimp.com, by the key's end.",
    )
    batch_size: int = pydantic.Field(
        default=500, ge=1, le=500, description="The most members in a request; Mailchimp takes 500."
    )


class MailchimpTarget(SyncTarget):
    """What a sync says to Mailchimp."""

    list: str = pydantic.Field(min_length=1, description="Id of the audience (list).")
    tag: str | None = pydantic.Field(
        default=None, description="Name of a tag that the members get; it is made if missing."
    )
    status_if_new: Literal["subscribed", "pending", "transactional"] = pydantic.Field(
        default="subscribed",
        description="Status of members who were not in the audience before; pending asks them first.",
    )


class Mailchimp(ApiDestination):
    """The destination kind `mailchimp`."""

    kind: ClassVar[str] = "mailchimp"
    Config: ClassVar[type[DestinationConfig]] = MailchimpConfig
    Target: ClassVar[type[SyncTarget]] = MailchimpTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "update_only", "insert_only")
    identifiers: ClassVar[dict[str, str]] = {"email": "email"}
    removal: ClassVar[str] = "takes the tag away; without a tag it archives the member"

    def __init__(self, config: MailchimpConfig, home_root: Path, target: Any = None, mode: Mode = "mirror") -> None:
        key = config.api_key.get_secret_value()
        centre = key.rpartition("-")[2] if "-" in key else ""
        if not config.url:
            if not centre.isalnum():
                raise NeedsAPerson(
                    "mailchimp: field 'api_key' does not end with its data centre, as 0123…-us21 does. Correct it."
                )
            config = config.model_copy(update={"url": f"https://{centre}.api.mailchimp.com"})
        super().__init__(config, home_root, target, mode)
        self._tag_id: str | None = None

    def _authorization(self) -> tuple[str, str]:
        key = self.config.api_key.get_secret_value()
        return f"Basic {base64.b64encode(f'cdp:{key}'.encode()).decode()}", "api_key"

    def _secrets(self) -> list[str]:
        return [self.config.api_key.get_secret_value()]

    def address(self) -> str:
        return f"audience {self.target.list}" + (f", tag {self.target.tag}" if self.target.tag else "")

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """Some requests per batch. Raises Refused, NoAnswer, NeedsAPerson."""
        outcomes: dict[int, Outcome] = {}
        writing: dict[str, int] = {}
        removing: dict[str, int] = {}
        for place, operation in enumerate(operations):
            email = str(operation.identifiers.get("email") or "")
            if not email:
                outcomes[place] = Outcome(operation.row_key, "refused", "no_identifier", "the row has no email")
            elif operation.operation == "remove":
                removing[email] = place
            else:
                writing[email] = place
        outcomes |= {place: Outcome(operations[place].row_key, "accepted", "removed") for place in removing.values()}
        if removing:
            self._take_out(list(removing))
        said = self._written({email: _merge_fields(operations[place].fields) for email, place in writing.items()})
        for email, place in writing.items():
            outcomes[place] = Outcome(operations[place].row_key, *said[email])
        return [outcomes[place] for place in range(len(operations))]

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """Deletes a member for good; Mailchimp refuses the address ever after."""
        email = str(identifiers.get("email") or "")
        if not email:
            return Outcome("", "refused", "no_identifier", "no email is given")
        try:
            self._request("POST", f"{self._member(email)}/actions/delete-permanent")
        except Refused as refusal:
            if refusal.code not in ("404", "405"):  # 405: gone for good already
                return Outcome(email, "refused", refusal.code, str(refusal))
        return Outcome(email, "accepted", "erased")

    def _written(self, members: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str, str]]:
        """(status, code, message) by address."""
        said: dict[str, tuple[str, str, str]] = {}
        there = members
        if members and self.mode != "update_only":
            said = self._offered(members, {"status": self.target.status_if_new})
            there = {email: members[email] for email, (_, code, _) in said.items() if code == _EXISTS}
        if self.mode == "insert_only":
            said |= dict.fromkeys(there, ("accepted", "there_already", ""))
        elif there:
            said |= self._offered(there, {})
        tagged = [email for email, (status, _, _) in said.items() if status == "accepted"]
        if self.target.tag and tagged:
            said |= self._tag("members_to_add", tagged)
        return said

    def _offered(self, members: dict[str, dict[str, Any]], more: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
        """Members as new ones (with a status in `more`), or as such that are there."""
        body = {
            "members": [{"email_address": email, **more, "merge_fields": fields} for email, fields in members.items()],
            "update_existing": not more,
        }
        kinds = ("new_members", "updated_members")
        answer = self._asked("POST", f"/3.0/lists/{self.target.list}", body, *kinds, "errors")
        written = {str(member.get("email_address", "")).lower() for kind in kinds for member in answer[kind] or []}
        said = {
            email: ("accepted", "written", "")
            if email in written
            else ("refused", "no_result", "Mailchimp's answer names this address neither as written nor as refused")
            for email in members
        }
        for error in answer["errors"] or []:
            email = str(error.get("email_address", "")).lower()
            if email in said:
                said[email] = (
                    "refused",
                    str(error.get("error_code") or "refused"),
                    self._http.clean(str(error.get("error") or "")),
                )
        return said

    def _take_out(self, emails: list[str]) -> None:
        if self.target.tag:
            self._tag("members_to_remove", emails)
            return
        for email in emails:
            try:
                self._request("DELETE", self._member(email))
            except Refused as refusal:
                if refusal.code not in ("404", "405"):  # not there, or archived already
                    raise

    def _tag(self, change: str, emails: list[str]) -> dict[str, tuple[str, str, str]]:
        """What is refused of adding the tag to members, or taking it away: by address."""
        path = f"/3.0/lists/{self.target.list}/segments"
        if self._tag_id is None:
            known = self._asked("GET", f"{path}?type=static&count=1000", None, "segments")["segments"] or []
            named = [segment for segment in known if segment.get("name") == self.target.tag]
            made = (
                named[0] if named else self._asked("POST", path, {"name": self.target.tag, "static_segment": []}, "id")
            )
            self._tag_id = str(made["id"])
        answer = self._asked("POST", f"{path}/{self._tag_id}", {change: emails}, "errors")
        return {
            str(email).lower(): ("refused", "not_tagged", self._http.clean(str(error.get("error") or "")))
            for error in answer["errors"] or []
            for email in error.get("email_addresses") or []
        }

    def _member(self, email: str) -> str:
        """The path of a member: Mailchimp knows them by the MD5 of the address in lower case."""
        return f"/3.0/lists/{self.target.list}/members/{hashlib.md5(email.lower().encode()).hexdigest()}"


def _merge_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Merge fields have names in capitals; an empty text clears one."""
    return {
        name.upper(): "" if value is None else str(value).lower() if isinstance(value, bool) else value
        for name, value in fields.items()
    }
