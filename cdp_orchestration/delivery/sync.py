"""What a model of the activation layer declares about its sync: `config.meta.sync` in its twin."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from cdp_orchestration.destinations.base import Mode
from cdp_orchestration.errors import NeedsAPerson

MODES: tuple[Mode, ...] = ("mirror", *(mode for mode in get_args(Mode) if mode != "mirror"))
_FIELDS = ("destination", "mode", "consent", "identifiers", "guard", "target", "nulls", "default_region")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REMEDY = "state the purposes it needs, or `consent: not_required`"


@dataclass(frozen=True)
class Purpose:
    """A purpose that a profile must have granted, under a regulation, before its row may leave."""

    regulation: str
    purpose: str


@dataclass(frozen=True)
class Guard:
    """When nothing (more) is sent, because something must have gone wrong. `cdp sync NAME --allow-once` lets it pass.

    max_removed_percent: of the rows held; max_removed: in rows; max_refused_percent: of the rows that were tried for the first
    time in this run. None: no such guard. The percentages rest while fewer than `min_held` rows are held, or were tried.
    """

    max_removed_percent: float | None = 50.0
    max_removed: int | None = None
    max_refused_percent: float | None = 50.0
    min_held: int = 20


NO_GUARD = Guard(None, None, None)


@dataclass(frozen=True)
class Sync:
    """One sync: the rows of `relation` are what `destination` should hold.

    mode: mirror (adds, updates, removes), upsert (adds and updates), update_only, insert_only, or append (each row is an
    event, sent once). identifiers: {kind of identifier: the model's column} by which the destination knows the person; when
    one changes, the row is removed under the old ones and added under the new. formats: {kind: format} in which the
    destination wants them; nothing: as they are, among the other fields. target: the destination's settings for this sync.
    sent_nulls: the columns whose nulls are sent; others are left out of the row. where: the file that declares it.
    """

    name: str
    relation: str
    destination: str
    mode: Mode
    consent: tuple[Purpose, ...] | Literal["not_required"]
    identifiers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"row_key": "row_key"}))
    guard: Guard = field(default_factory=Guard)
    formats: Mapping[str, str] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    sent_nulls: tuple[str, ...] | Literal["all"] = ()
    default_region: str | None = None
    where: str = ""


def parse_sync(name: str, relation: str, meta: dict[str, Any], where: str) -> Sync:
    """The sync that `meta` declares. Raises NeedsAPerson naming the file (`where`), the field and the remedy."""

    def stop(problem: str) -> NeedsAPerson:
        return NeedsAPerson(f"{where}: sync '{name}': {problem}.")

    if not _NAME.fullmatch(name):
        raise stop("its name becomes a folder: use letters, digits and underscores, beginning with a letter")
    if not isinstance(meta, dict):
        raise stop("config.meta.sync must be a mapping with at least destination and consent")
    _only(meta, _FIELDS, "", stop)
    destination = meta.get("destination")
    if not isinstance(destination, str) or not destination:
        raise stop("field 'destination' is missing: name a folder of cdp_orchestration/defs/destinations")
    mode = meta.get("mode", "mirror")
    if mode not in MODES:
        raise stop(f"field 'mode' is {mode!r}: use mirror (add, update, remove), {', '.join(MODES[1:])}")
    target = meta.get("target", {})
    if not isinstance(target, dict):
        raise stop("field 'target' must be a mapping: the destination's settings for this sync")
    region = meta.get("default_region")
    if region is not None and not (isinstance(region, str) and re.fullmatch("[A-Z]{2}", region)):
        raise stop(f"field 'default_region' is {region!r}: use a country's two capital letters, e.g. DE")
    return Sync(
        name=name,
        relation=relation,
        destination=destination,
        mode=mode,
        consent=_consent(meta.get("consent"), stop),
        identifiers=MappingProxyType(_identifiers(meta.get("identifiers", ["row_key"]), stop)),
        guard=_guard(meta.get("guard", {}), stop),
        target=MappingProxyType(dict(target)),
        sent_nulls=_sent_nulls(meta.get("nulls", "skip"), stop),
        default_region=region,
        where=where,
    )


def _identifiers(written: Any, stop: Any) -> dict[str, str]:
    if isinstance(written, list):
        if not written or not all(_text(i) for i in written):
            raise stop("field 'identifiers' must be a list of one or more of the model's columns, e.g. [email]")
        if len(set(written)) < len(written):
            raise stop("field 'identifiers' names a column twice: remove one of them")
        return {name: name for name in written}
    if not isinstance(written, dict) or not written or not all(_text(k) and _text(c) for k, c in written.items()):
        raise stop(
            "field 'identifiers' must be a list of the model's columns, e.g. [email], or say of which kind each is, e.g. "
            "{email: work_address}"
        )
    return dict(written)


def _sent_nulls(written: Any, stop: Any) -> tuple[str, ...] | Literal["all"]:
    if written == "skip":
        return ()
    if written == "send":
        return "all"
    named = written.get("send") if isinstance(written, dict) and written.keys() == {"send"} else None
    if isinstance(named, list) and all(map(_text, named)):
        return tuple(named)
    raise stop(f"field 'nulls' is {written!r}: use skip, send, or {{send: [columns whose nulls are sent]}}")


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
    _only(written, tuple(Guard.__dataclass_fields__), "guard.", stop)
    values = {name: written.get(name, of.default) for name, of in Guard.__dataclass_fields__.items()}
    for name in ("max_removed_percent", "max_refused_percent"):
        percent = values[name]
        if percent is not None and (
            isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100
        ):
            raise stop(f"field 'guard.{name}' is {percent!r}: use a number from 0 to 100, or null for no such guard")
        values[name] = None if percent is None else float(percent)
    for name in ("max_removed", "min_held"):
        rows = values[name]
        if (rows is None and name == "min_held") or (
            rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0)
        ):
            raise stop(f"field 'guard.{name}' is {rows!r}: use a whole number, 0 or more")
    return Guard(**values)


def _only(written: dict[str, Any], known: tuple[str, ...], prefix: str, stop: Any) -> None:
    for key in written:
        if key not in known:
            raise stop(
                f"unknown field '{prefix}{key}': remove it or correct its spelling (fields here: {', '.join(known)})"
            )


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
