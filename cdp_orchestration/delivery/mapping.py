"""How the rows of a sync become what is sent: remembered per place, so that a change is seen before anything is sent.

deliveries/mappings/<sync>.json     {"<destination> <address>": the mapping of the last delivery there}
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from cdp_orchestration.delivery.places import Place
from cdp_orchestration.delivery.plan_sql import GRANTED, NO_FIELDS, identifier_column
from cdp_orchestration.delivery.sync import Sync
from cdp_orchestration.disk import whole_file


@dataclass(frozen=True)
class Changed:
    """lost: what a person must look at first. again: why all rows are sent again. Both in words."""

    lost: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """columns: {name: type} of the fields. identifiers, formats, target, mode: as of the sync. version: of normalisation."""

    columns: dict[str, str]
    identifiers: dict[str, str]
    formats: dict[str, str]
    version: str
    mode: str
    target: dict[str, Any]
    nulls: list[str] | str

    @classmethod
    def of(cls, sync: Sync, schema: pa.Schema, version: str) -> "Mapping":
        ours = (GRANTED, identifier_column(""))
        return cls(
            columns={f.name: _type(f.type) for f in schema if f.name not in NO_FIELDS and not f.name.startswith(ours)},
            identifiers=dict(sync.identifiers),
            formats=dict(sync.formats),
            version=version if sync.formats else "",
            mode=sync.mode,
            target=dict(sync.target),
            nulls="all" if sync.sent_nulls == "all" else list(sync.sent_nulls),
        )

    def since(self, earlier: "Mapping | None") -> Changed:
        if earlier is None:
            return Changed()
        lost = [f"column '{name}' is gone" for name in earlier.columns if name not in self.columns]
        again = [f"column '{name}' is new" for name in self.columns if name not in earlier.columns]
        for name, kind in self.columns.items():
            before = earlier.columns.get(name, kind)
            if before != kind and "null" not in (before, kind):
                lost.append(f"column '{name}' was {before} and is {kind}")
        for what, now, then in (
            ("the identifiers are others", self.identifiers, earlier.identifiers),
            ("the formats of identifiers are others", self.formats, earlier.formats),
            ("normalisation is another", self.version, earlier.version),
            ("other nulls are sent", self.nulls, earlier.nulls),
        ):
            if now != then:
                again.append(what)
        return Changed(tuple(lost), tuple(again))


def read_mapping(root: Path, sync: str, place: Place) -> Mapping | None:
    """The mapping of the last delivery to that place, if it is known."""
    found = _read(root, sync).get(_key(place))
    return Mapping(**found) if found else None


def write_mapping(root: Path, sync: str, place: Place, mapping: Mapping) -> None:
    """Remembers it. The caller holds the sync's lock."""
    known = _read(root, sync)
    if known.get(_key(place)) == asdict(mapping):
        return
    with whole_file(_file(root, sync)) as handle:
        handle.write(json.dumps(known | {_key(place): asdict(mapping)}, ensure_ascii=False, indent=1).encode())


def _read(root: Path, sync: str) -> dict[str, Any]:
    file = _file(root, sync)
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _file(root: Path, sync: str) -> Path:
    return root / "mappings" / f"{sync}.json"


def _key(place: Place) -> str:
    return f"{place.destination} {place.address}"


def _type(kind: pa.DataType) -> str:
    """A type in one spelling whatever engine the rows came from."""
    for name, is_it in (
        ("timestamp", pa.types.is_timestamp), ("integer", pa.types.is_integer), ("number", pa.types.is_floating),
        ("boolean", pa.types.is_boolean), ("null", pa.types.is_null),
    ):  # fmt: skip
        if is_it(kind):
            return name
    return "text"
