"""Users and events in Braze.

Users are written by POST /users/track, which takes 75 objects in all. Who is in an audience is an attribute, as Braze's own
cohorts are for its partners alone: with a target `{attribute: NAME}` a boolean, with `{array: NAME, value: …}` an element of an
array. A removal sets it to false, or takes the element out; without such a target it deletes the user. A null deletes an
attribute.

Braze answers 2xx and names the refused objects by their place under `errors`. Events have no key by which Braze would drop a
repeated one: after a lost answer one batch of events may be counted twice. Source: Braze's documentation of /users/track and
/users/delete; not confirmed against an account.
"""

from typing import Any, ClassVar

import pydantic
import requests

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.errors import CdpError
from cdp_orchestration.http_client import HttpConfig, Wait


class BrazeConfig(DestinationConfig, HttpConfig):
    """A workspace, reached with a REST API key."""

    url: str = pydantic.Field(description="REST endpoint of your cluster, e.g. https://rest.fra-01.braze.eu.")
    token: pydantic.SecretStr = pydantic.Field(
        description="REST API key with users.track (and users.delete). Take it from the environment."
    )
    workspace: str = pydantic.Field(
        min_length=1, description="A name for the workspace: what was sent is remembered per workspace."
    )
    batch_size: int = pydantic.Field(
        default=75, ge=1, le=75, description="The most users or events in a request; Braze takes 75."
    )


class BrazeTarget(SyncTarget):
    """What a sync says to Braze."""

    attribute: str | None = pydantic.Field(default=None, description="A boolean attribute that members have.")
    array: str | None = pydantic.Field(default=None, description="An array attribute that holds `value` for members.")
    value: str | None = pydantic.Field(default=None, description="The element of `array`; left out: the sync's name.")
    event: str | None = pydantic.Field(
        default=None, description="Mode append: the events' name; left out: the model's column event_name."
    )


class Braze(ApiDestination):
    """The destination kind `braze`."""

    kind: ClassVar[str] = "braze"
    Config: ClassVar[type[DestinationConfig]] = BrazeConfig
    Target: ClassVar[type[SyncTarget]] = BrazeTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "update_only", "append")
    identifiers: ClassVar[dict[str, str]] = {"external_id": "plain", "email": "email"}
    removal: ClassVar[str] = (
        "sets the attribute to false, or takes the element out of the array; without either deletes the user"
    )

    def address(self) -> str:
        names = [name for name in (self.target.attribute, self.target.array, self.target.value) if name]
        return f"workspace {self.config.workspace}" + (f", {' '.join(names)}" if names else "")

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """One request, or two. Raises Refused, NoAnswer, NeedsAPerson."""
        outcomes: dict[int, Outcome] = {}
        objects: dict[int, dict[str, Any]] = {}
        deleted: dict[int, dict[str, str]] = {}
        for place, operation in enumerate(operations):
            known = _known_by(operation.identifiers)
            if known is None:
                message = "the row has neither external_id nor email"
                outcomes[place] = Outcome(operation.row_key, "refused", "no_identifier", message)
            elif operation.operation == "remove" and not (self.target.attribute or self.target.array):
                deleted[place] = known
            else:
                made = self._object(sync, operation, known)
                if isinstance(made, Outcome):
                    outcomes[place] = made
                else:
                    objects[place] = made
        if deleted:
            self._delete(list(deleted.values()))
            outcomes |= {place: Outcome(operations[place].row_key, "accepted", "deleted") for place in deleted}
        if objects:
            outcomes |= self._track(operations, objects)
        return [outcomes[place] for place in range(len(operations))]

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """Deletes the user."""
        known = _known_by(identifiers)
        if known is None:
            return Outcome("", "refused", "no_identifier", "neither external_id nor email is given")
        self._delete([known])
        return Outcome(next(iter(known.values())), "accepted", "erased")

    def _object(self, sync: str, operation: Operation, known: dict[str, str]) -> dict[str, Any] | Outcome:
        fields = dict(operation.fields)
        if self.mode == "append":
            name, at = self.target.event or fields.pop("event_name", None), fields.pop("occurred_at", None)
            if not name or not at:
                message = "an event needs a name and a time: the model's columns event_name and occurred_at"
                return Outcome(operation.row_key, "refused", "no_event_name", message)
            fields.pop("event_name", None)
            return known | {"name": str(name), "time": str(at), "properties": fields}
        gone = operation.operation == "remove"
        said: dict[str, Any] = {} if gone else fields
        if self.target.attribute:
            said[self.target.attribute] = not gone
        if self.target.array:
            said[self.target.array] = {"remove" if gone else "add": [self.target.value or sync]}
        if self.mode == "update_only":
            said["_update_existing_only"] = True
        return said | known

    def _track(self, operations: list[Operation], objects: dict[int, dict[str, Any]]) -> dict[int, Outcome]:
        array = "events" if self.mode == "append" else "attributes"
        answer = self._asked("POST", "/users/track", {array: list(objects.values())}, "message")
        if answer["message"] not in ("success", "queued"):
            raise self._senseless(f"says {str(answer['message'])[:100]!r} for a success")
        outcomes = {place: Outcome(operations[place].row_key, "accepted", "written") for place in objects}
        places = list(objects)
        for error in answer.get("errors") or []:
            index = error.get("index") if isinstance(error, dict) else None
            if not isinstance(index, int) or not 0 <= index < len(places):
                raise self._senseless("refuses an object without saying which")
            row_key = operations[places[index]].row_key
            outcomes[places[index]] = Outcome(
                row_key, "refused", "invalid", self._http.clean(str(error.get("type") or ""))
            )
        return outcomes

    def _delete(self, known: list[dict[str, str]]) -> None:
        """50 users a request."""
        for first in range(0, len(known), 50):
            some = known[first : first + 50]
            body: dict[str, Any] = {}
            if ids := [each["external_id"] for each in some if "external_id" in each]:
                body["external_ids"] = ids
            if emails := [each["email"] for each in some if "email" in each]:
                body["email_addresses"] = [
                    {"email": email, "prioritization": ["most_recently_updated"]} for email in emails
                ]
            self._asked("POST", "/users/delete", body, "message")

    def _verdict(self, answer: requests.Response) -> Wait | CdpError | None:
        if answer.status_code != 429:
            return None
        said = answer.headers.get("X-Ratelimit-Retry-After", "")
        return Wait(float(said) if said.replace(".", "", 1).isdigit() else None)


def _known_by(identifiers: dict[str, Any]) -> dict[str, str] | None:
    return next(({name: str(identifiers[name])} for name in ("external_id", "email") if identifiers.get(name)), None)
