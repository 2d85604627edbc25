"""What a kind of destination must do. A new kind is one Python file in this folder with a subclass of Destination, and one
file of fixtures (tests/destinations/conformance), which the conformance suite runs.

A destination sends what it is given and says what became of each row. It knows nothing of plans, ledgers, models or
Dagster. It normalises and hashes nothing: it gets identifiers in the form that `identifiers` asks for. What to raise decides
what delivery does next:

    Refused       the other side will not take this batch: it is halved until the bad row stands alone
    TryAgain      a passing fault, after the connector's own bounded retries: the rows stay owed (better: NoAnswer)
    NeedsAPerson  a person must act (credentials, configuration): delivery stops at once
"""

import ipaddress
import urllib.parse
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from cdp_orchestration.errors import NeedsAPerson

# upsert: add and change. update_only: change what the other side has. insert_only: add what it has not. mirror: upsert, and
# remove. append: events, each once.
Mode = Literal["upsert", "update_only", "insert_only", "mirror", "append"]


@dataclass(frozen=True)
class Operation:
    """One row to send. `operation` is add, update or remove.

    `fields` are JSON values by name (a remove's are the identifiers that the destination was sent before);
    `identifiers` are those that name the person. An `idempotency_key` seen before is a replay of the same operation.
    """

    operation: str
    row_key: str
    fields: dict[str, Any]
    idempotency_key: str
    identifiers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one row: `status` is accepted or refused, `code` and `message` are the other side's words."""

    row_key: str
    status: str
    code: str = ""
    message: str = ""


class DestinationConfig(pydantic.BaseModel):
    """What every kind's configuration has. It must also accept text fields that hold a template (`{{ env.X }}`)."""

    model_config = pydantic.ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: str = pydantic.Field(
        description="The kind of destination: the name of a file in cdp_orchestration/destinations."
    )
    batch_size: int | None = pydantic.Field(
        default=None, ge=1, description="The most operations that go out together; leave out for the kind's own number."
    )


class SyncTarget(pydantic.BaseModel):
    """What a sync may say to its destination (`config.meta.sync.target` in its twin): a list, an audience, an object. A kind
    that has such settings subclasses it."""

    model_config = pydantic.ConfigDict(extra="forbid", hide_input_in_errors=True)


class Destination(ABC):
    """One connected destination, for one sync. Secrets in its Config are SecretStr, so that no log shows them.

    `batch_size` is the most operations that one `send` takes (None: the whole plan at once), `batch_bytes` the most bytes
    that one request may have.
    `ordered` says that a batch is applied in its order and whole or not at all, so that the removal and the new
    addition of one row may share it.

    For the docs and for `cdp check`: `modes` that it can carry out. `identifiers`: {kind of identifier: format} that it knows
    people by, the format being a key of delivery/normalise.py; empty: whatever the sync names, as it is. `removal`: what
    `remove` does at the other side. `no_erasure`: why `erase` cannot be carried out there, where it cannot.
    """

    kind: ClassVar[str]
    Config: ClassVar[type[DestinationConfig]]
    Target: ClassVar[type[SyncTarget]] = SyncTarget
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert")
    identifiers: ClassVar[dict[str, str]] = {}
    removal: ClassVar[str] = "sends a remove operation"
    no_erasure: ClassVar[str] = ""
    batch_size: int | None = None
    batch_bytes: int | None = None
    ordered: bool = False

    def __init__(self, config: Any, home_root: Path, target: Any = None, mode: Mode = "mirror") -> None:
        """`config` and `target` are instances of this kind's Config and Target, rendered; `home_root` is CDP_HOME, absolute.

        Without a target, as for an erasure: one that has all the defaults, where they suffice.
        """
        self.config = config
        if config.batch_size is not None:
            self.batch_size = config.batch_size
        self.home_root = Path(home_root)
        if target is None:
            with suppress(pydantic.ValidationError):
                target = self.Target()
        self.target = target
        self.mode = mode

    @abstractmethod
    def address(self) -> str:
        """Where the rows go, in one spelling: what was sent is remembered per destination and address, so that another
        address starts empty. The settings that make it: a URL, a folder, an account with its list. Never a secret, nor
        a version of the other side's API. Asks nobody.
        """

    @abstractmethod
    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """Sends one batch and returns one Outcome per operation, in the same order.

        Sending a batch again with the same idempotency keys must do no harm. Raises Refused, TryAgain (NoAnswer)
        or NeedsAPerson, as the module says.
        """

    def is_local(self) -> bool:
        """Whether it is on this machine, so that sending to it can reach nobody: by default, whether `url` is loopback."""
        try:
            host = urllib.parse.urlsplit(getattr(self.config, "url", "")).hostname or ""
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def close(self) -> None:  # noqa: B027 (most kinds hold nothing open)
        """Lets go of connections."""

    def erase(self, identifiers: dict[str, Any]) -> Outcome:
        """Asks the other side to forget one person for good, known there by these identifiers (as they were sent).

        Nobody there counts as erased. Raises as `send` does; NeedsAPerson where the other side has no such call.
        """
        raise NeedsAPerson(f"{self.kind}: cannot erase a person: {self.no_erasure}")
