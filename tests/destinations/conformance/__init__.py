"""What the conformance suite (test_conformance.py) needs to know of a kind of destination: one file per kind in this folder.

The file's name is the kind's; it defines KIND, an instance of HttpKind (something that is called over HTTP, judged by a stand-in
and, where there is one, by the vendor's own document) or of Kind (anything else). webhook.py is the smallest.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from cdp_orchestration.destinations.base import Destination, Operation
from cdp_orchestration.kinds import DESTINATIONS
from tests.support.stand_in import Answer, Answering, Request, standing_in
from tests.support.vendor_spec import VendorSpec

PATIENCE = {"attempts": 2, "timeout_seconds": 2, "max_wait_seconds": 0.05}


@dataclass
class Kind(ABC):
    """A kind of destination under test.

    operations: one batch that it must accept whole, in the mode; with a removal where it is able to mirror. A removal comes
    before the additions, and is of what `held` put there. identifiers: of one person, to be erased.
    """

    name: str
    operations: list[Operation]
    held: list[Operation] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    mode: str = "mirror"
    identifiers: dict[str, Any] = field(default_factory=dict)

    @property
    def destination(self) -> type[Destination]:
        return DESTINATIONS[self.name]

    def made(self, root: Path, **config: Any) -> Destination:
        """The destination, connected; `config` goes before the kind's own."""
        kind = self.destination
        made = kind.Config.model_validate({"kind": self.name, **self.config, **config})
        return kind(made, root, kind.Target.model_validate(self.target), self.mode)  # type: ignore[arg-type]

    @contextmanager
    @abstractmethod
    def world(self, root: Path) -> Iterator["World"]:
        """Something real that takes what is sent, empty."""


class World(ABC):
    """The other side, while a test runs."""

    @abstractmethod
    def connected(self, **config: Any) -> Destination:
        """A destination that sends to it."""

    @abstractmethod
    def state(self) -> Any:
        """What it holds, in a form that can be compared."""


@dataclass
class HttpKind(Kind):
    """A kind that speaks HTTP.

    secrets: texts of the config that nothing may show. spec: the vendor's documents; each request must please one of them.
    expected: where there is no document: recorded expectations, a function of ours that lists what is wrong with a request.
    malformed: one request per endpoint that these must refuse, so that they cannot be blind.
    secret_field: the field that a refused credential's message must name.
    accepts_anything: any 2xx answer accepts all rows, whatever it says (a webhook). can_refuse_rows: its answers name rows.
    """

    secrets: list[str] = field(default_factory=list)
    spec: list[VendorSpec] = field(default_factory=list)
    malformed: list[Request] = field(default_factory=list)
    secret_field: str = "token"
    accepts_anything: bool = False
    can_refuse_rows: ClassVar[bool] = True

    def expected(self, request: Request) -> list[str]:
        """What is wrong with a request, where no document says it."""
        raise NotImplementedError(f"{self.name}: has neither a vendor's document nor an expectation of ours")

    def faults(self, request: Request) -> list[str]:
        if not self.spec:
            return self.expected(request)
        found = [spec.faults(request) for spec in self.spec]
        return [] if [] in found else min(found, key=lambda faults: any("no such path" in fault for fault in faults))

    @abstractmethod
    def answering(self, state: dict[str, Any]) -> Answering:
        """A vendor in a nutshell, that keeps in `state` what it was sent."""

    @abstractmethod
    def refusing(self, operation: Operation) -> Answering:
        """A vendor that refuses the rows of that row_key alone, and takes the others."""

    def aside(self, request: Request) -> Answer | None:
        """What is answered whatever a test is about: where tokens are refreshed."""
        return None

    def throttled(self) -> list[Answer]:
        """Answers that say: not now."""
        return [(429, {"Retry-After": "0.01"}, {"message": "slow down"})]

    def unauthorized(self) -> Answer:
        return (401, {}, {"message": "who are you?"})

    @contextmanager
    def world(self, root: Path) -> Iterator[World]:
        state: dict[str, Any] = {}
        with standing_in(self.answering(state), aside=self.aside) as server:
            yield HttpWorld(self, root, server.url, state)


@dataclass
class HttpWorld(World):
    kind: HttpKind
    root: Path
    url: str
    held: dict[str, Any]

    def connected(self, **config: Any) -> Destination:
        return self.kind.made(self.root, **{"url": self.url, **PATIENCE, **config})

    def state(self) -> Any:
        return self.held


def kinds() -> dict[str, Kind]:
    """By name, one per file of this folder."""
    found = {}
    for module_info in pkgutil.iter_modules(__path__):
        if not module_info.name.startswith(("_", "test_")):
            found[module_info.name] = importlib.import_module(f"{__name__}.{module_info.name}").KIND
    return found
