"""What goes wrong on the way from the demo company's website to its files, and the files themselves."""

import gzip
import json
import random
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

from cdp_orchestration.demo.company.calendar import AS_OF, DAYS, MIDNIGHT, count_for, date_of, day_of, iso, stream
from cdp_orchestration.demo.company.truth import Notes
from cdp_orchestration.demo.company.web import JUNK, Arrival, Message

ENVELOPE_DAY = 47
"""On this day (0-based) the morning's messages come as batch envelopes, in a separate file."""

_GROUPS = ("Quinta do Vale Hiking Club", "Halden & Partners", "Orchestra of the North Shore")


def spoil(arrivals: list[Arrival], people: int, notes: Notes) -> list[Arrival]:
    """The arrivals plus everything that is wrong with them, sorted; how much of it grows with `people`."""
    rng = stream("mess")
    originals = list(arrivals)
    spoiled = list(arrivals)

    def add(mess: str, arrival: Arrival, times: int = 1) -> None:
        spoiled.extend([arrival] * times)
        notes.made(mess, day_of(arrival.at), times)

    def add_broken(mess: str, per_5000: int, breaking: Callable[[Message], Message | str]) -> None:
        for arrival in rng.sample(originals, count_for(people, per_5000)):
            assert isinstance(arrival.content, dict)
            message = arrival.content | {"messageId": f"b-{rng.getrandbits(72):018x}"}
            add(mess, Arrival(arrival.at, breaking(message)))

    add_broken("lines_truncated", 40, lambda message: _json(message)[: rng.randint(20, 120)])
    add_broken("lines_not_json", 25, lambda _: "<html><body><h1>502 Bad Gateway</h1></body></html>")
    add_broken("lines_with_array", 10, lambda message: _json([message["messageId"], "page"]))
    add_broken("lines_with_number", 10, lambda _: str(rng.randint(1, 500)))
    add_broken("impossible_timestamps", 40, lambda message: message | {"timestamp": "2026-13-45T99:00:00Z"})
    add_broken("events_from_the_future", 30, _from_the_future)
    add_broken("tracks_without_event", 30, lambda message: _only(message, "track") | {"properties": {"price": 10}})
    add_broken("without_identifier", 40, lambda message: _only(message, "page", nobody=True) | {"name": "Home"})
    add_broken("unknown_types", 20, lambda message: _only(message, "heartbeat"))
    add_broken("groups", 60, lambda message: _in_group(message, rng))

    for arrival in rng.sample(originals, count_for(people, 400)):
        add("repeated_in_same_file", arrival)
    for arrival in rng.sample(originals, count_for(people, 300)):
        again = arrival.at + timedelta(days=rng.randint(1, 5))
        if again < AS_OF:
            add("repeated_in_later_file", Arrival(again, arrival.content))
    searches = [arrival for arrival in originals if _is_search(arrival)]
    for arrival in rng.sample(searches, min(count_for(people, 60), len(searches))):
        assert isinstance(arrival.content, dict)
        message = {key: value for key, value in arrival.content.items() if key not in ("messageId", "sentAt")}
        message["timestamp"] = iso(arrival.at.replace(microsecond=0))
        add("honest_repeats_without_message_id", Arrival(arrival.at, message), times=2)
    spoiled.sort(key=lambda arrival: arrival.at)
    return spoiled


def web_files(arrivals: list[Arrival], notes: Notes) -> dict[int, list[tuple[str, bytes, int]]]:
    """By 1-based day: name, bytes and number of lines of that day's files; every fifth day is gzipped."""
    days: dict[int, list[Arrival]] = {day: [] for day in range(DAYS)}
    for arrival in arrivals:
        days[day_of(arrival.at)].append(arrival)
    files = {}
    for day, lines in days.items():
        name = f"events-{date_of(day).isoformat()}"
        envelopes: list[str] = []
        if day == ENVELOPE_DAY:
            lines, envelopes = _fold(lines, notes)
        content = _lines([line.content if isinstance(line.content, str) else _json(line.content) for line in lines])
        is_zipped = day % 5 == 3
        files[day + 1] = [
            (f"{name}.jsonl.gz", _zip(content), len(lines)) if is_zipped else (f"{name}.jsonl", content, len(lines))
        ]
        if envelopes:
            files[day + 1].append((f"{name}-batches.jsonl", _lines(envelopes), len(envelopes)))
    return files


def _fold(lines: list[Arrival], notes: Notes) -> tuple[list[Arrival], list[str]]:
    """Fold the morning's messages into one envelope per browser. Its times hold for all messages within."""
    noon = MIDNIGHT + timedelta(days=ENVELOPE_DAY, hours=12)
    kept: list[Arrival] = []
    outboxes: dict[str, list[Message]] = {}
    for line in lines:
        message = line.content if isinstance(line.content, dict) else {}
        browser = message.get("anonymousId", JUNK[0])
        if line.at < noon and browser not in JUNK and "sentAt" in message:
            outboxes.setdefault(browser, []).append(message)
        else:
            kept.append(line)
    envelopes = []
    for messages in outboxes.values():
        last = messages[-1]
        times = {"sentAt": last["sentAt"], "receivedAt": last["receivedAt"]}
        inner = [{key: value for key, value in message.items() if key not in times} for message in messages]
        envelopes.append(_json({"batch": inner, **times, "context": {"app": {"name": "Saltmarsh"}}}))
        notes.made("batch_envelopes", ENVELOPE_DAY)
        notes.made("messages_in_envelopes", ENVELOPE_DAY, len(messages))
    return kept, envelopes


def _from_the_future(message: Message) -> Message:
    """A device whose clock says 2099; it sends no sentAt, so nothing can correct it."""
    kept = {key: value for key, value in message.items() if key != "sentAt"}
    return kept | {"timestamp": "2099-01-01T00:00:00.000Z"}


def _only(message: Message, kind: str, nobody: bool = False) -> Message:
    """When and (unless `nobody`) by whom a message was sent, as another type, without what it said."""
    kept = {"messageId", "timestamp", "sentAt", "receivedAt"}
    if not nobody:
        kept |= {"anonymousId", "userId", "context"}
    return {"type": kind} | {key: value for key, value in message.items() if key in kept}


def _in_group(message: Message, rng: random.Random) -> Message:
    number = rng.randrange(len(_GROUPS))
    return _only(message, "group") | {"groupId": f"group-{number + 1}", "traits": {"name": _GROUPS[number]}}


def _is_search(arrival: Arrival) -> bool:
    return isinstance(arrival.content, dict) and arrival.content.get("event") == "Trip Searched"


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _lines(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _zip(content: bytes) -> bytes:
    packed = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()
