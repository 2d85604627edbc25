"""People and events in a Segment source, by its HTTP tracking API.

A row becomes an identify, in mode append a track. Who is in an audience is a trait (`target: {trait: NAME}`): true, and false after
a removal. messageId is made of the idempotency key, by which Segment drops a message that it saw in the last day or so.

Segment answers 200 also where it drops an event later on (its own debugger shows that): accepted says that Segment took the
batch. Source: Segment's documentation of the HTTP tracking API.
"""

import base64
import json
from typing import Any, ClassVar

import pydantic

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.http_client import HttpConfig

_MESSAGE_BYTES = 32_000


class SegmentConfig(DestinationConfig, HttpConfig):
    """A source, reached with its write key."""

    url: str = pydantic.Field(
        default="https://api.segment.io",
        description="Address of the API; in the EU https://events.eu1.segmentapis.com.",
    )
    write_key: pydantic.SecretStr = pydantic.Field(description="The source's write key. Take it from the environment.")
    source: str = pydantic.Field(
        min_length=1, description="A name for the source: what was sent is remembered per source."
    )
    batch_size: int = pydantic.Field(
        default=500, ge=1, le=2500, description="The most messages in a request; Segment takes 2,500."
    )
    requests_per_second: float | None = pydantic.Field(default=50, gt=0, description="The most requests in a second.")


class SegmentTarget(SyncTarget):
    """What a sync says to Segment."""

    trait: str | None = pydantic.Field(
        default=None, description="A trait that is true for members, and false after a removal."
    )
    event: str | None = pydantic.Field(
        default=None, description="Mode append: the events' name; left out: the model's column event_name."
    )


class Segment(ApiDestination):
    """The destination kind `segment`."""

    kind: ClassVar[str] = "segment"
    Config: ClassVar[type[DestinationConfig]] = SegmentConfig
    Target: ClassVar[type[SyncTarget]] = SegmentTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "append")
    identifiers: ClassVar[dict[str, str]] = {"user_id": "plain", "anonymous_id": "plain"}
    removal: ClassVar[str] = (
        "sets the trait to false; without a trait nothing can be taken back, and the row is refused"
    )
    no_erasure: ClassVar[str] = "the tracking API has no call for it: file a regulation in Segment (User deletion)"
    batch_bytes = 450_000  # Segment takes 500 KB

    def _authorization(self) -> tuple[str, str]:
        return (
            f"Basic {base64.b64encode(f'{self.config.write_key.get_secret_value()}:'.encode()).decode()}",
            "write_key",
        )

    def _secrets(self) -> list[str]:
        return [self.config.write_key.get_secret_value()]

    def address(self) -> str:
        return f"source {self.config.source}" + (f", trait {self.target.trait}" if self.target.trait else "")

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """One request. Raises Refused, NoAnswer, NeedsAPerson."""
        made = [self._message(operation) for operation in operations]
        messages = [message for message in made if isinstance(message, dict)]
        if messages:
            answer = self._asked("POST", "/v1/batch", {"batch": messages}, "success")
            if answer["success"] is not True:
                raise self._senseless("does not say that the batch was taken")
        return [
            message if isinstance(message, Outcome) else Outcome(operation.row_key, "accepted", "taken")
            for operation, message in zip(operations, made, strict=True)
        ]

    def _message(self, operation: Operation) -> dict[str, Any] | Outcome:
        known = {
            name: str(operation.identifiers[kind])
            for kind, name in (("user_id", "userId"), ("anonymous_id", "anonymousId"))
            if operation.identifiers.get(kind)
        }
        if not known:
            return Outcome(
                operation.row_key, "refused", "no_identifier", "the row has neither user_id nor anonymous_id"
            )
        message: dict[str, Any] = {**known, "messageId": operation.idempotency_key}
        if self.mode == "append":
            fields = dict(operation.fields)
            event, at = fields.pop("event_name", None), fields.pop("occurred_at", None)
            event = self.target.event or event
            if not event:
                text = "an event has no name: give the model a column event_name, or the target an event"
                return Outcome(operation.row_key, "refused", "no_event_name", text)
            message |= {"type": "track", "event": str(event), "properties": fields} | (
                {"timestamp": str(at)} if at else {}
            )
        else:
            gone = operation.operation == "remove"
            if gone and not self.target.trait:
                return Outcome(
                    operation.row_key, "refused", "cannot_remove", "name a trait in the sync's field target.trait"
                )
            trait = {self.target.trait: not gone} if self.target.trait else {}
            message |= {"type": "identify", "traits": trait if gone else {**operation.fields, **trait}}
        if len(json.dumps(message).encode()) > _MESSAGE_BYTES:
            return Outcome(
                operation.row_key, "refused", "too_large", f"Segment takes {_MESSAGE_BYTES:,} bytes a message"
            )
        return message
