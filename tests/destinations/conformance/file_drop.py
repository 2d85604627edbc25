"""Files in a folder: what is held is what their lines add up to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdp_orchestration.destinations.base import Destination, Operation
from tests.destinations.conformance import Kind, World


@dataclass
class Folder(World):
    kind: Kind
    root: Path

    def connected(self, **config: Any) -> Destination:
        return self.kind.made(self.root, **config)

    def state(self) -> Any:
        held = {}
        for file in sorted((self.root / "drop").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
            for line in file.read_text().splitlines():
                operation = json.loads(line)
                held[operation["row_key"]] = operation["fields"]
                if operation["operation"] == "remove":
                    held.pop(operation["row_key"])
        return held


class FileDrop(Kind):
    @contextmanager
    def world(self, root: Path) -> Iterator[World]:
        yield Folder(self, root)


KIND = FileDrop(
    name="file_drop",
    held=[Operation("add", "c", {"email": "c@x.io"}, "key-c", {"email": "c@x.io"})],
    operations=[
        Operation("remove", "c", {"email": "c@x.io"}, "key-c2", {"email": "c@x.io"}),
        Operation("add", "a", {"email": "ü@x.io", "spend_usd": 1.5}, "key-a", {"email": "ü@x.io"}),
    ],
)
