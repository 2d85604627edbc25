"""What a model of the activation layer declares about its sync: `config.meta.sync` in its twin."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from cdp_orchestration.connections import connections
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.project.manifest import models

FOLDER = "6_activation"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REMEDY = "state the purposes it needs, or `consent: not_required`"


@dataclass(frozen=True)
class Purpose:
    """A purpose that a profile must have granted, under a regulation, before its row may leave."""

    regulation: str
    purpose: str


@dataclass(frozen=True)
class Guard:
    """Sends nothing when more than `max_removed_percent` of the rows held would be removed (None: no guard).

    It rests while fewer than `min_held` rows are held.
    """

    max_removed_percent: float | None = None
    min_held: int = 20


@dataclass(frozen=True)
class Sync:
    """One sync: the rows of `relation` are what `destination` should hold.

    mode: mirror (add, update, remove) or upsert (never removes). identifiers: the columns by which the destination
    knows the person; when one changes, the row is removed under the old ones and added under the new.
    where: the file that declares it.
    """

    name: str
    relation: str
    destination: str
    mode: Literal["mirror", "upsert"]
    consent: tuple[Purpose, ...] | Literal["not_required"]
    identifiers: tuple[str, ...] = ("row_key",)
    guard: Guard = field(default_factory=Guard)
    where: str = ""


def declared_syncs(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The models of 6_activation that say they are a sync, by name; their twins hold the declaration."""
    nodes = models(manifest, FOLDER)
    return [nodes[name] for name in sorted(nodes) if name != "deliveries"]


def read_sync(node: dict[str, Any]) -> Sync:
    """The sync that a model declares. Raises NeedsAPerson naming the file, field and remedy."""
    where = str(node.get("patch_path") or node["original_file_path"]).removeprefix("cdp://")
    meta = (node["config"].get("meta") or {}).get("sync")
    if meta is None:
        raise NeedsAPerson(
            f"{where}: model '{node['name']}' lies in {FOLDER} but declares no sync: add config.meta.sync with its "
            "destination and its consent, or move the model to another folder."
        )
    sync = parse_sync(node["name"], f"{node['schema']}.{node['alias']}", meta, where)
    known = connections("destinations")
    if sync.destination not in known:
        raise NeedsAPerson(
            f"{where}: field 'destination' names '{sync.destination}', but there is no "
            f"cdp_orchestration/defs/destinations/{sync.destination}/defs.yaml (known: {', '.join(known) or 'none'})."
        )
    return sync


def parse_sync(name: str, relation: str, meta: dict[str, Any], where: str) -> Sync:
    """The sync that `meta` declares. Raises NeedsAPerson naming the file (`where`), the field and the remedy."""

    def stop(problem: str) -> NeedsAPerson:
        return NeedsAPerson(f"{where}: sync '{name}': {problem}.")

    if not _NAME.fullmatch(name):
        raise stop("its name becomes a folder: use letters, digits and underscores, beginning with a letter")
    if not isinstance(meta, dict):
        raise stop("config.meta.sync must be a mapping with at least destination and consent")
    _only(meta, ("destination", "mode", "consent", "identifiers", "guard"), "", stop)
    destination = meta.get("destination")
    if not isinstance(destination, str) or not destination:
        raise stop("field 'destination' is missing: name a folder of cdp_orchestration/defs/destinations")
    mode = meta.get("mode", "mirror")
    if mode not in ("mirror", "upsert"):
        raise stop(f"field 'mode' is {mode!r}: use mirror (add, update, remove) or upsert (never removes)")
    identifiers = meta.get("identifiers", ["row_key"])
    if not isinstance(identifiers, list) or not identifiers or not all(_text(i) for i in identifiers):
        raise stop("field 'identifiers' must be a list of one or more of the model's columns, e.g. [email]")
    if len(set(identifiers)) < len(identifiers):
        raise stop("field 'identifiers' names a column twice: remove one of them")
    return Sync(
        name=name,
        relation=relation,
        destination=destination,
        mode=mode,
        consent=_consent(meta.get("consent"), stop),
        identifiers=tuple(identifiers),
        guard=_guard(meta.get("guard", {}), stop),
        where=where,
    )


def _consent(written: Any, stop: Any) -> tuple[Purpose, ...] | Literal["not_required"]:
    if written == "not_required":
        return "not_required"
    if written in (None, [], "", {}):
        raise stop(f"field 'consent' is missing or empty: {_REMEDY}")
    if not isinstance(written, list):
        raise stop(f"field 'consent' must be a list of {{regulation, purpose}}: {_REMEDY}")
    purposes = []
    for number, item in enumerate(written):
        if not isinstance(item, dict):
            raise stop(f"field 'consent[{number}]' must be {{regulation: ..., purpose: ...}}: {_REMEDY}")
        _only(item, ("regulation", "purpose"), f"consent[{number}].", stop)
        for key in ("regulation", "purpose"):
            if not _text(item.get(key)):
                raise stop(f"field 'consent[{number}].{key}' must be a text: add it, e.g. regulation: gdpr")
        purposes.append(Purpose(item["regulation"], item["purpose"]))
    return tuple(purposes)


def _guard(written: Any, stop: Any) -> Guard:
    if not isinstance(written, dict):
        raise stop("field 'guard' must be a mapping, e.g. {max_removed_percent: 50}")
    _only(written, ("max_removed_percent", "min_held"), "guard.", stop)
    percent, min_held = written.get("max_removed_percent"), written.get("min_held", 20)
    if percent is not None and (
        isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100
    ):
        raise stop(f"field 'guard.max_removed_percent' is {percent!r}: use a number from 0 to 100")
    if isinstance(min_held, bool) or not isinstance(min_held, int) or min_held < 0:
        raise stop(f"field 'guard.min_held' is {min_held!r}: use a whole number, 0 or more")
    return Guard(None if percent is None else float(percent), min_held)


def _only(written: dict[str, Any], known: tuple[str, ...], prefix: str, stop: Any) -> None:
    for key in written:
        if key not in known:
            raise stop(
                f"unknown field '{prefix}{key}': remove it or correct its spelling (fields here: {', '.join(known)})"
            )


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
