"""Contacts in HubSpot's CRM, and who is on one of its lists.

Contacts are written by batch upsert under a unique property (the e-mail address, or one of your own). With a target
`{list: ID}` they are put on that list, too, which must be a manual or a snapshot list: a removal then takes them off it;
without a list a removal archives the contact. update_only and insert_only ask first who is there.

Answered row by row: results and errors name a row by our objectWriteTraceId, else by the property. A row that neither names
was not written, whatever the status says. Source: HubSpot's OpenAPI documents of CRM objects v3 and lists v3.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, ClassVar

import pydantic
import requests

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.errors import CdpError, NeedsAPerson, Refused
from cdp_orchestration.http_client import HttpConfig, Wait

_CONTACTS = "/crm/v3/objects/contacts"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")  # as delivery writes timestamps


class HubSpotConfig(DestinationConfig, HttpConfig):
    """An account (portal), reached with the token of a private app."""

    url: str = pydantic.Field(default="https://api.hubapi.com", description="Address of the API.")
    token: pydantic.SecretStr = pydantic.Field(
        description="Access token of a private app with the scopes crm.objects.contacts.read and .write, and for lists "
        "crm.lists.read and .write. Take it from the environment."
    )
    account: str = pydantic.Field(
        min_length=1, description="The account's id (Hub ID): what was sent is remembered per account."
    )
    batch_size: int = pydantic.Field(
        default=100, ge=1, le=100, description="The most contacts in one request; HubSpot takes 100."
    )
    requests_per_second: float | None = pydantic.Field(
        default=9,
        gt=0,
        description="The most requests in a second. HubSpot allows 100 in ten seconds, or more by your plan.",
    )


class HubSpotTarget(SyncTarget):
    """What a sync says to HubSpot."""

    list: str | None = pydantic.Field(
        default=None, description="Id of the manual or snapshot list to put the contacts on."
    )
    id_property: str = pydantic.Field(
        default="email",
        description="The unique property of contacts that names a person: email, or one of yours, whose values are then the "
        "identifiers of the kind unique_property.",
    )


class HubSpot(ApiDestination):
    """The destination kind `hubspot`."""

    kind: ClassVar[str] = "hubspot"
    Config: ClassVar[type[DestinationConfig]] = HubSpotConfig
    Target: ClassVar[type[SyncTarget]] = HubSpotTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "update_only", "insert_only")
    identifiers: ClassVar[dict[str, str]] = {"email": "email", "unique_property": "plain"}
    removal: ClassVar[str] = "takes the contact off the list; without a list it archives the contact"

    def address(self) -> str:
        of_list = f", list {self.target.list}" if self.target.list else ""
        return f"account {self.config.account.strip()}{of_list}"

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """A few requests per batch. Raises Refused (HubSpot refuses the batch), NoAnswer, NeedsAPerson."""
        outcomes: dict[int, Outcome] = {}
        keys: dict[int, str] = {}
        for place, operation in enumerate(operations):
            key = self._key(operation)
            if key is None:
                message = f"the row has no {self._identifier}, by which contacts are known here"
                outcomes[place] = Outcome(operation.row_key, "refused", "no_identifier", message)
            else:
                keys[place] = key
        removed = {place: key for place, key in keys.items() if operations[place].operation == "remove"}
        written = {place: key for place, key in keys.items() if place not in removed}
        outcomes |= self._removed(operations, removed) if removed else {}
        outcomes |= self._written(operations, written) if written else {}
        return [outcomes[place] for place in range(len(operations))]

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """HubSpot's GDPR deletion, for good."""
        key = str(identifiers.get(self._identifier) or "")
        if not key:
            return Outcome("", "refused", "no_identifier", f"no {self._identifier} is given")
        body = {"objectId": key, "idProperty": self.target.id_property}
        try:
            self._request("POST", f"{_CONTACTS}/gdpr-delete", body)
        except Refused as refusal:
            if refusal.code != "404":
                return Outcome(key, "refused", refusal.code, str(refusal))
        return Outcome(key, "accepted", "erased")

    @property
    def _identifier(self) -> str:
        return "email" if self.target.id_property == "email" else "unique_property"

    def _key(self, operation: Operation) -> str | None:
        value = operation.identifiers.get(self._identifier)
        return str(value) if value not in (None, "") else None

    def _written(self, operations: list[Operation], keys: dict[int, str]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        if self.mode in ("update_only", "insert_only"):
            there = self._record_ids(list(keys.values()))
            for place, key in list(keys.items()):
                is_there = key.lower() in there
                if self.mode == "insert_only" and is_there:
                    outcomes[place] = Outcome(operations[place].row_key, "accepted", "there_already")
                elif self.mode == "update_only" and not is_there:
                    outcomes[place] = Outcome(
                        operations[place].row_key, "refused", "not_there", "no such contact to update"
                    )
            keys = {place: key for place, key in keys.items() if place not in outcomes}
            if not keys:
                return outcomes
        inputs = [
            {
                "id": key,
                "idProperty": self.target.id_property,
                "objectWriteTraceId": str(place),
                "properties": _properties(operations[place].fields) | {self.target.id_property: key},
            }
            for place, key in keys.items()
        ]
        answer = self._results("batch/upsert", {"inputs": inputs})
        ids: dict[int, str] = {}
        for result in answer["results"]:
            named = self._place(result, keys)
            if named is not None and result.get("id"):
                ids[named] = str(result["id"])
        for place in keys:
            row_key = operations[place].row_key
            outcomes[place] = (
                Outcome(row_key, "accepted", "written")
                if place in ids
                else Outcome(row_key, "refused", *self._why(answer["errors"], place, keys[place]))
            )
        if self.target.list and ids:
            missing = self._list("add", list(ids.values()))
            for place, record_id in ids.items():
                if record_id in missing:
                    message = f"HubSpot does not find contact {record_id} to put it on the list"
                    outcomes[place] = Outcome(operations[place].row_key, "refused", "not_on_list", message)
        return outcomes

    def _removed(self, operations: list[Operation], keys: dict[int, str]) -> dict[int, Outcome]:
        there = self._record_ids(list(keys.values()))
        found = sorted({there[key.lower()] for key in keys.values() if key.lower() in there})
        if found and self.target.list:
            self._list("remove", found)
        elif found:
            self._request("POST", f"{_CONTACTS}/batch/archive", {"inputs": [{"id": record_id} for record_id in found]})
        return {place: Outcome(operations[place].row_key, "accepted", "removed") for place in keys}

    def _record_ids(self, keys: list[str]) -> dict[str, str]:
        """{value of the property, in lower case: record id} of those contacts that are there."""
        body = {
            "idProperty": self.target.id_property,
            "inputs": [{"id": key} for key in dict.fromkeys(keys)],
            "properties": [self.target.id_property],
            "propertiesWithHistory": [],
        }
        answer = self._results("batch/read", body)
        found = {}
        for result in answer["results"]:
            value = (result.get("properties") or {}).get(self.target.id_property)
            if value and result.get("id"):
                found[str(value).lower()] = str(result["id"])
        return found

    def _list(self, change: str, record_ids: list[str]) -> set[str]:
        """Puts records on the list or takes them off it; which ones HubSpot does not know."""
        path = f"/crm/v3/lists/{self.target.list}/memberships/{change}"
        answer = self._asked("PUT", path, record_ids, "recordIdsMissing")
        return {str(record_id) for record_id in answer["recordIdsMissing"]}

    def _place(self, result: dict[str, Any], keys: dict[int, str]) -> int | None:
        trace = str(result.get("objectWriteTraceId") or "")
        if trace.isdigit() and int(trace) in keys:
            return int(trace)
        value = str((result.get("properties") or {}).get(self.target.id_property) or "").lower()
        return next((place for place, key in keys.items() if value and key.lower() == value), None)

    def _why(self, errors: list[dict[str, Any]], place: int, key: str) -> tuple[str, str]:
        for error in errors:
            named = {str(name).lower() for names in (error.get("context") or {}).values() for name in names}
            if (
                str(place) in map(str, (error.get("context") or {}).get("objectWriteTraceId", []))
                or key.lower() in named
            ):
                return str(error.get("category") or "refused"), self._http.clean(str(error.get("message") or ""))
        return "no_result", "HubSpot's answer names this row neither as written nor as refused"

    def _results(self, action: str, body: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        content = self._asked("POST", f"{_CONTACTS}/{action}", body, "results")
        return {"results": content["results"] or [], "errors": content.get("errors") or []}

    def _verdict(self, answer: requests.Response) -> Wait | CdpError | None:
        if answer.status_code == 423:  # somebody else writes to these records just now
            return Wait(2)
        if answer.status_code not in (400, 404) or "/crm/v3/lists/" not in (answer.request.path_url or ""):
            return None
        if answer.status_code == 404:
            return NeedsAPerson(
                f"{self.kind}: there is no list {self.target.list} in account {self.config.account}. Correct the field "
                "'target.list' of the sync.",
                "404",
            )
        return NeedsAPerson(
            f"{self.kind}: list {self.target.list} takes no members from outside ({self._http.clean(answer.text)}). Use a "
            "manual or a snapshot list in the field 'target.list' of the sync.",
            "400",
        )


def _properties(fields: dict[str, Any]) -> dict[str, str]:
    """HubSpot takes texts alone: numbers and booleans as JSON writes them, times as milliseconds, an empty text clears."""
    return {name: _text(value) for name, value in fields.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if _TIME.fullmatch(value):
            moment = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
            return str(int(moment.timestamp() * 1000))
        return value
    return json.dumps(value)
