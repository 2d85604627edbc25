"""`cdp mapping STREAM`: what the landed records of a stream hold, and what the staging model makes of it. Reads the landing
files alone, so that it needs no warehouse and says the same for every engine."""

import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import masked
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.landing import Landing
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.project.mappings import Mapped, mapped_by, models_of, private_names
from cdp_orchestration.project.streams import sources_of
from cdp_orchestration.queries.answers import Answer, Rows

SAMPLES = 3
SHOWN = 200  # fields
WIDEST = 30  # characters of a sample
_NAMES = re.compile(
    r"(^|[._ -])(first|last|given|family|sur|full|middle)?_?-? ?name$|birth|address|street", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^\s\"'<>,;:]+@[^\s\"'<>,;:]+")
_NUMBER = re.compile(r"(\+|00)?[\d ()./-]{7,20}")
_TIME = re.compile(r"(19|2[01])\d\d-?\d\d-?\d\d([T ].*)?|\d{9,10}|\d{12,13}")


@dataclass
class Field:
    """What records hold under one path."""

    filled: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    samples: dict[str, None] = field(default_factory=dict)  # in the order met, each once


def mapping(home: Home, stream: str, records: int) -> Iterator[Answer]:
    """The fields of the newest `records` landed records; what is not mapped, never filled, or of several types.

    Raises NeedsAPerson for a stream that neither landed nor is declared.
    """
    manifest = current_manifest(home)
    landing = Landing(home.landing)
    known = {*landing.streams(), *((node["source_name"], node["name"]) for node in sources_of(manifest).values())}
    source, _, name = stream.replace("__", ".").partition(".")
    if (source, name) not in known:
        there = ", ".join(sorted(".".join(each) for each in known)) or "none yet"
        raise NeedsAPerson(f"{stream}: there is no such stream. Use one of {there}.")
    read, landed, unreadable = _newest(landing, source, name, records)
    models = models_of(manifest, source, name)
    declared = [each for model in models for each in mapped_by(model)]
    by = ", ".join(model["name"] for model in models) or "no staging model reads it"
    told = f"; {unreadable:,} of them could not be read" if unreadable else ""
    yield f"{source}.{name}: the newest {len(read) + unreadable:,} of {landed:,} landed records{told}. Mapped by: {by}."
    fields = fields_of(read)
    rules, private = identity_rules(), private_names()
    rows = []
    for path, held in list(fields.items())[:SHOWN]:
        meant = meanings(path, declared)
        shown = ", ".join(_shown(path, value, meant, rules, private) for value in held.samples)
        kinds = ", ".join(
            f"{kind} {count:,}" if len(held.kinds) > 1 else kind for kind, count in held.kinds.most_common()
        )
        rows.append((path, f"{100 * held.filled / len(read):.0f} %", kinds, "; ".join(meant), shown))
    yield Rows("Fields", ["field", "filled", "types", "mapped to", "values"], rows)
    if len(fields) > SHOWN:
        yield f"… and {len(fields) - SHOWN:,} more fields."
    for each in (each for each in declared if each.field is None):
        yield f"{each}: the same in every record."
    for title, paths in {
        "Not mapped": [path for path in fields if not meanings(path, declared)],
        "Mapped, never filled in these records": never_filled(fields, declared),
        "Of several types": [path for path, held in fields.items() if len(held.kinds) > 1],
    }.items():
        yield f"{title}: {', '.join(paths) or 'none'}."


def _newest(landing: Landing, source: str, stream: str, wanted: int) -> tuple[list[dict[str, Any]], int, int]:
    """Messages of the newest records (those of an envelope apart), how many records landed, how many of these were unreadable."""
    lines: deque[tuple[str, str | None]] = deque()
    with landing.reading():
        batches = landing.batches(source, stream)
        for batch in reversed(batches):
            held: deque[tuple[str, str | None]] = deque(maxlen=wanted - len(lines))
            for part in batch.parts():
                held.extend(zip(part.column("_payload").to_pylist(), part.column("_error").to_pylist(), strict=True))
            lines.extendleft(reversed(held))
            if len(lines) >= wanted:
                break
    found, unreadable = [], 0
    for payload, error in lines:
        try:
            record = json.loads(payload) if error is None else None
        except ValueError:
            record = None
        if not isinstance(record, dict):
            unreadable += 1
        elif isinstance(record.get("batch"), list) and "type" not in record:
            found += [{**record, **each, "batch": None} for each in record["batch"] if isinstance(each, dict)]
        else:
            found.append(record)
    return found, sum(batch.records for batch in batches), unreadable


def fields_of(records: list[dict[str, Any]]) -> dict[str, Field]:
    """Every path of the records by its name, in the order met; a list is a value, an object that holds something is none."""
    fields: dict[str, Field] = {}
    for record in records:
        for path, value in _leaves(record, ""):
            held = fields.setdefault(path, Field())
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            held.filled += 1
            held.kinds[_kind(value)] += 1
            if len(held.samples) < SAMPLES:
                held.samples[value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)] = None
    return fields


def _leaves(value: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", inner


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"


def meanings(path: str, declared: list[Mapped]) -> list[str]:
    """What a path is mapped to. One whose object is mapped as a whole is mapped, too; a star is its last name, where nothing
    says more."""
    exact = [str(each) for each in declared if each.field and (path == each.field or path.startswith(f"{each.field}."))]
    stars = [each for each in declared if each.field and each.field.endswith(".*") and path.startswith(each.field[:-1])]
    said = [f"{each.target} {path.removeprefix((each.field or '')[:-1])}" for each in stars[:1]]
    return list(dict.fromkeys(exact + ([] if exact and said and said[0].startswith("context") else said)))


def never_filled(fields: dict[str, Field], declared: list[Mapped]) -> list[str]:
    """Fields that are mapped and say nothing; a star is no field."""
    wanted = dict.fromkeys(each.field for each in declared if each.field and not each.field.endswith("*"))
    return [
        name for name in wanted if name
        and not any(held.filled for path, held in fields.items() if path == name or path.startswith(f"{name}."))
    ]  # fmt: skip


def _shown(path: str, value: str, meant: list[str], rules: dict[str, Any], private: set[str]) -> str:
    """A value as a person may see it who need not know whom it is of."""
    targets = {word for each in meant for word in re.split(r"[ ()]+", each)}
    names = {path.rpartition(".")[2], *targets}
    of_people = not meant or any(each.startswith(("trait", "identifier")) for each in meant)
    for kind in names:
        if (rules["identifiers"].get(kind) or {}).get("normalise") in ("email", "phone"):
            return masked(rules, kind, value)
    if names & private or (of_people and any(_NAMES.search(name) for name in (path, *targets))):
        return f"{value[:1]}…"
    text = _ADDRESS.sub(lambda found: masked(rules, "", found[0]), value)
    if _NUMBER.fullmatch(text) and not _TIME.fullmatch(text) and not re.fullmatch(r"-?\d+([.]\d+)?", text):
        return f"…{text[-2:]}"
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"
