"""People and events in Customer.io, and who is in one of its manual segments.

People are identified and events are sent in batches of its Track API v2; with a target `{segment: ID}` people are put into that
manual segment, too, and a removal takes them out of it. Without a segment a removal deletes the person.

Answered row by row: 207 names the refused items by their place in the batch, the others are accepted; a 200 is an empty
object. An event carries a ULID made of its idempotency key, by which Customer.io drops a repeated one. Source: Customer.io's
OpenAPI document of the Track API.
"""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any, ClassVar

import pydantic

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.http_client import HttpConfig

_ITEM_BYTES = 32_000
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class CustomerioConfig(DestinationConfig, HttpConfig):
    """A workspace, reached with its Track API credentials."""

    url: str = pydantic.Field(
        default="https://track.customer.io",
        description="Address of the Track API; in the EU https://track-eu.customer.io.",
    )
    site_id: str = pydantic.Field(min_length=1, description="The workspace's site id.")
    api_key: pydantic.SecretStr = pydantic.Field(description="The Track API key. Take it from the environment.")
    suppress_erased: bool = pydantic.Field(
        default=True, description="Whether somebody who is erased is suppressed too, so that nobody can add him again."
    )
    batch_size: int = pydantic.Field(default=500, ge=1, le=1000, description="The most items in a request.")


class CustomerioTarget(SyncTarget):
    """What a sync says to Customer.io."""

    segment: int | None = pydantic.Field(default=None, description="Number of the manual segment to put people into.")
    event: str | None = pydantic.Field(
        default=None, description="Mode append: the events' name; left out: the model's column event_name."
    )


class Customerio(ApiDestination):
    """The destination kind `customerio`."""

    kind: ClassVar[str] = "customerio"
    Config: ClassVar[type[DestinationConfig]] = CustomerioConfig
    Target: ClassVar[type[SyncTarget]] = CustomerioTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "update_only", "append")
    identifiers: ClassVar[dict[str, str]] = {"id": "plain", "email": "email"}
    removal: ClassVar[str] = "takes the person out of the segment; without a segment deletes the person"
    batch_bytes = 450_000  # Customer.io takes 500 KB

    def _authorization(self) -> tuple[str, str]:
        pair = f"{self.config.site_id}:{self.config.api_key.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}", "api_key"

    def _secrets(self) -> list[str]:
        return [self.config.api_key.get_secret_value()]

    def address(self) -> str:
        segment = self.target.segment
        return f"workspace {self.config.site_id}" + (f", segment {segment}" if segment is not None else "")

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """One request, and some for the segment. Raises Refused, NoAnswer, NeedsAPerson."""
        outcomes: dict[int, Outcome] = {}
        items: dict[int, dict[str, Any]] = {}
        for place, operation in enumerate(operations):
            item = self._item(operation)
            if isinstance(item, Outcome):
                outcomes[place] = item
            elif item is not None:
                items[place] = item
        outcomes |= self._batch(operations, items)
        for change, removes in (("remove_customers", True), ("add_customers", False)):
            places = [
                place
                for place, operation in enumerate(operations)
                if (operation.operation == "remove") == removes
                and (place not in outcomes or outcomes[place].status == "accepted")
            ]
            if self.target.segment is not None and self.mode != "append":
                self._segment(change, [operations[place] for place in places])
            for place in places:
                outcomes.setdefault(place, Outcome(operations[place].row_key, "accepted", "removed"))
        return [outcomes[place] for place in range(len(operations))]

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """Deletes the person; suppresses him, too, if the connection says so."""
        known = _known_by(identifiers)
        if known is None:
            return Outcome("", "refused", "no_identifier", "neither id nor email is given")
        actions = ["delete", *(["suppress"] if self.config.suppress_erased else [])]
        self._sent([{"type": "person", "identifiers": known, "action": action} for action in actions])
        return Outcome(next(iter(known.values())), "accepted", "erased")

    def _item(self, operation: Operation) -> dict[str, Any] | Outcome | None:
        """What goes into the batch: a person or an event; nothing where only the segment changes; or why the row is refused."""
        known = _known_by(operation.identifiers)
        if known is None:
            return Outcome(operation.row_key, "refused", "no_identifier", "the row has neither id nor email")
        person: dict[str, Any] = {"type": "person", "identifiers": known}
        if operation.operation == "remove":
            return person | {"action": "delete"} if self.target.segment is None else None
        fields = {name: "" if value is None else value for name, value in operation.fields.items()}
        if self.mode == "append":
            name = self.target.event or fields.pop("event_name", "")
            if not name:
                message = "an event has no name: give the model a column event_name, or the target an event"
                return Outcome(operation.row_key, "refused", "no_event_name", message)
            at = fields.pop("occurred_at", "")
            item = person | {
                "action": "event",
                "name": str(name),
                "id": _ulid(operation.idempotency_key),
                "attributes": fields,
            }
            if at:
                item["timestamp"] = int(datetime.fromisoformat(str(at)).astimezone(UTC).timestamp())
        else:
            update_only = {"_update": True} if self.mode == "update_only" else {}
            item = person | {"action": "identify", "attributes": fields | update_only}
        if len(repr(item).encode()) > _ITEM_BYTES:
            return Outcome(
                operation.row_key, "refused", "too_large", f"Customer.io takes {_ITEM_BYTES:,} bytes an item"
            )
        return item

    def _batch(self, operations: list[Operation], items: dict[int, dict[str, Any]]) -> dict[int, Outcome]:
        if not items:
            return {}
        errors = self._sent(list(items.values()))
        outcomes = {place: Outcome(operations[place].row_key, "accepted", "written") for place in items}
        places = list(items)
        for error in errors:
            index = error.get("batch_index")
            if not isinstance(index, int) or not 0 <= index < len(places):
                raise self._senseless("refuses an item without saying which")
            words = " ".join(str(error.get(name) or "") for name in ("field", "message")).strip()
            row_key = operations[places[index]].row_key
            outcomes[places[index]] = Outcome(
                row_key, "refused", str(error.get("reason") or "refused")[:50], self._http.clean(words)
            )
        return outcomes

    def _sent(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The errors of a batch."""
        content = self._asked("POST", "/api/v2/batch", {"batch": items})
        if content.keys() - {"errors"}:
            raise self._senseless("is neither empty nor a list of errors")
        return list(content.get("errors") or [])

    def _segment(self, change: str, operations: list[Operation]) -> None:
        for id_type in ("id", "email"):
            known = [_known_by(operation.identifiers) or {} for operation in operations]
            ids = [each[id_type] for each in known if id_type in each]
            if ids:
                path = f"/api/v1/segments/{self.target.segment}/{change}?id_type={id_type}"
                if self._asked("POST", path, {"ids": ids}):
                    raise self._senseless("about the segment is not empty")


def _known_by(identifiers: dict[str, Any]) -> dict[str, str] | None:
    """The stronger of the identifiers that there are."""
    return next(({name: str(identifiers[name])} for name in ("id", "email") if identifiers.get(name)), None)


def _ulid(key: str) -> str:
    number = int.from_bytes(hashlib.md5(key.encode()).digest())
    return "".join(_BASE32[(number >> shift) & 31] for shift in range(125, -1, -5))
