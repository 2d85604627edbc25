"""Messages to a Slack channel, one per row, by an incoming webhook.

The text is the target's, with the row's fields in braces: `New VIP: {first_name} ({lifetime_value_usd} USD)`. What a removal would
take back cannot be unsent. Slack answers the word ok, or an error in one word. Source: Slack's documentation of incoming webhooks.
"""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pydantic
import requests

from cdp_orchestration.destinations._api import ApiDestination
from cdp_orchestration.destinations.base import DestinationConfig, Mode, Operation, Outcome, SyncTarget
from cdp_orchestration.errors import CdpError, NeedsAPerson, Refused
from cdp_orchestration.http_client import HttpConfig, Wait

_GONE = (
    "channel_not_found",
    "channel_is_archived",
    "no_service",
    "no_team",
    "team_disabled",
    "posting_to_general_channel_denied",
)
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackConfig(DestinationConfig, HttpConfig):
    """One incoming webhook: it belongs to one channel."""

    url: str = pydantic.Field(default="https://hooks.slack.com", description="Address of Slack.")
    path: pydantic.SecretStr = pydantic.Field(
        description="The webhook's path, e.g. /services/T0/B0/XXX, which is its secret. Take it from the environment."
    )
    channel: str = pydantic.Field(
        min_length=1, description="A name for the channel: what was sent is remembered per channel."
    )
    batch_size: int = pydantic.Field(default=1, ge=1, le=1, description="One message a request.")
    requests_per_second: float | None = pydantic.Field(default=1, gt=0, description="Slack takes a message a second.")


class SlackTarget(SyncTarget):
    """What a sync says to Slack."""

    text: str = pydantic.Field(default="{row_key}", min_length=1, description="The message, with fields in braces.")


class Slack(ApiDestination):
    """The destination kind `slack`."""

    kind: ClassVar[str] = "slack"
    Config: ClassVar[type[DestinationConfig]] = SlackConfig
    Target: ClassVar[type[SyncTarget]] = SlackTarget
    modes: ClassVar[tuple[Mode, ...]] = ("insert_only", "append")
    removal: ClassVar[str] = "nothing: a message cannot be unsent"
    no_erasure: ClassVar[str] = (
        "a message that was posted through a webhook cannot be deleted through it: delete it in Slack"
    )

    def __init__(self, config: SlackConfig, home_root: Path, target: Any = None, mode: Mode = "insert_only") -> None:
        super().__init__(config, home_root, target, mode)
        try:
            list(string.Formatter().parse(self.target.text))
        except ValueError as error:
            raise NeedsAPerson(
                f"slack: the sync's field 'target.text' cannot be read ({error}). Write a brace that is text twice."
            ) from None

    def _authorization(self) -> tuple[str, str]:
        return "", "path"

    def _secrets(self) -> list[str]:
        return [self.config.path.get_secret_value()]

    def address(self) -> str:
        return f"channel {self.config.channel}"

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """A request per message. Raises NoAnswer, NeedsAPerson."""
        return [self._sent(operation) for operation in operations]

    def _sent(self, operation: Operation) -> Outcome:
        if operation.operation == "remove":
            return Outcome(operation.row_key, "accepted", "cannot_be_unsent")
        try:
            text = string.Formatter().vformat(self.target.text, (), _Fields(operation))
        except (ValueError, LookupError, AttributeError) as error:
            return Outcome(operation.row_key, "refused", "no_text", f"target.text does not fit the row: {error}")
        try:
            answer = self._request("POST", f"/{self.config.path.get_secret_value().strip('/')}", {"text": text})
        except Refused as refusal:
            return Outcome(operation.row_key, "refused", refusal.code, str(refusal))
        if answer.text.strip() != "ok":
            raise self._senseless("is not ok")
        return Outcome(operation.row_key, "accepted", "posted")

    def _verdict(self, answer: requests.Response) -> Wait | CdpError | None:
        said = answer.text.strip()
        if answer.status_code >= 400 and said in _GONE:
            return NeedsAPerson(
                f"slack: channel {self.config.channel} takes no messages ({said}). Make the webhook anew and set the field 'path'.",
                said,
            )
        return None


class _Fields(Mapping[str, Any]):
    """A row's values as they stand in a text: what Slack would read as markup is escaped, nothing is empty."""

    def __init__(self, operation: Operation) -> None:
        self._values = {"row_key": operation.row_key, **operation.fields}

    def __getitem__(self, name: str) -> str:
        value = self._values.get(name)
        return "" if value is None else str(value).translate(_ESCAPED)

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
