"""Identity in SQL against the slow reference: the same owners, ids and merges, however the messages were batched."""

import itertools
import json
import random
import shutil
from pathlib import Path

import networkx
import pytest

from cdp_orchestration.landing import Landing, Page, Record
from tests.harness import PROJECT, Platform, dbt
from tests.reference_identity import RULES, Identifier, Message, People, resolve


def random_world(name: str, seed: int) -> list[Message]:
    """A small stream over few identifiers, so that they meet often. Values carry the world's name: worlds never touch."""
    rng = random.Random(seed)
    pool = [
        (kind, f"{name}.phone.{number}".replace(".", "") if kind == "phone" else f"{name}-{kind}-{number}")
        for kind in ("user_id", "email", "phone", "anonymous_id")
        for number in range(rng.randint(1, 3 if kind == "user_id" else 8))
    ]
    messages = []
    for number in range(rng.randint(1, 25)):
        chosen = tuple(rng.sample(pool, min(len(pool), rng.choice([1, 1, 2, 2, 3, 4]))))
        if rng.random() < 0.05:
            chosen += (("user_id", "null"),)
        messages.append(Message(f"{rng.randrange(10**9):09d}-{name}-{number}", chosen))
    return messages


def chain(name: str, length: int, order: str) -> list[Message]:
    """A path of `length` identifiers: every second link first, so that many profiles are founded, then the rest."""
    links = [(f"{name}-{number:04d}", f"{name}-{number + 1:04d}") for number in range(length - 1)]
    first, then = links[::2], links[1::2]
    if order == "backwards":
        then = then[::-1]
    if order == "shuffled":
        random.Random(1).shuffle(then)
    return [
        Message(f"{number:05d}-{name}", (("anonymous_id", a), ("anonymous_id", b)))
        for number, (a, b) in enumerate(first + then)
    ]


def star(name: str, size: int) -> list[Message]:
    return [
        Message(f"{number:05d}-{name}", (("android_id", f"{name}-hub"), ("email", f"{name}-{number}@x.example")))
        for number in range(size)
    ]


@pytest.fixture(scope="module")
def worlds() -> list[list[list[Message]]]:
    """Three batches, each a list of messages of all worlds."""
    streams = [random_world(f"w{number}", number) for number in range(1000)]
    streams += [
        chain("up", 1000, "forwards"),
        chain("down", 1000, "backwards"),
        chain("mix", 1000, "shuffled"),
    ]
    streams.append(star("star", 5000))
    batches: list[list[Message]] = [[], [], []]
    rng = random.Random(7)
    for stream in streams:
        cuts = sorted((rng.randint(0, len(stream)), rng.randint(0, len(stream))))
        for batch, part in zip(batches, (stream[: cuts[0]], stream[cuts[0] : cuts[1]], stream[cuts[1] :]), strict=True):
            batch += part
    for batch in batches:
        rng.shuffle(batch)
    return [batches]


def land(home: Path, messages: list[Message]) -> None:
    """As inbox records; an identifier type that Segment has no field for goes through externalIds."""
    records = []
    for message in messages:
        external = [{"id": v, "type": t, "collection": "users", "encoding": "none"} for t, v in message.identifiers]
        body = {"type": "track", "event": "Seen", "messageId": message.message_id, "context": {"externalIds": external},
                "timestamp": "2026-01-01T00:00:00Z", "receivedAt": "2026-01-01T00:00:00Z"}  # fmt: skip
        records.append(Record(json.dumps(body), file="worlds.jsonl"))
    Landing(home / "landing").land("inbox", "messages", [Page(records, {})])


def prepare(home: Path) -> None:
    from cdp_orchestration.delivery.ledger import Ledger

    for source, stream in [("web", "events"), ("inbox", "messages"), ("shop", "orders"), ("shop", "refunds"),
                           ("crm", "customers"), ("email", "engagement")]:  # fmt: skip
        Landing(home / "landing").prepare(source, stream)
    Ledger(home / "deliveries").prepare()


def build(home: Path, *more: str, project: Path = PROJECT) -> None:
    done = dbt(project, home, "build", "--exclude-resource-type", "unit_test", *more)
    assert done.returncode == 0, done.stdout[-6000:]


def in_warehouse(home: Path) -> tuple[dict, set, dict, set]:
    platform = Platform(home)
    owners = {
        (t, v): p
        for t, v, p in platform.rows("select identifier_type, identifier_value, profile_id from identity.identifiers")
    }
    merges = set(platform.rows(
        "select from_profile_id, into_profile_id, message_id, identifier_type, identifier_value from identity.merges "
        "where kind = 'merge'"))  # fmt: skip
    events = dict(platform.rows("select message_id, profile_id from profiles.events"))
    refusals = set(platform.rows("select message_id, identifier_type, identifier_value, rule from identity.refusals"))
    return owners, merges, events, refusals


def check_against(people: People, home: Path) -> None:
    owners, merges, events, refusals = in_warehouse(home)
    assert refusals == {(message, *identifier, rule) for (identifier, rule), message in people.refusals.items()}
    assert owners == people.owner
    assert {merge[:3] for merge in merges} == set(people.merges)
    for loser, _, _, kind, value in merges:
        assert (kind, value) == people.links.get(loser, (kind, value))
    assert events == {message_id: people.profile_of(message_id) for message_id in people.events}


def test_increments_equal_a_rebuild_equal_the_reference(worlds: list[list[list[Message]]], tmp_path: Path) -> None:
    (batches,) = worlds
    prepare(tmp_path)
    for number in range(len(batches)):
        land(tmp_path, batches[number])
        build(tmp_path)
        arrived = [sorted(batch, key=lambda message: message.message_id) for batch in batches[: number + 1]]
        people = resolve((message for batch in arrived for message in batch), frozenset({"null"}))
        check_against(people, tmp_path)
    increments = in_warehouse(tmp_path)
    build(tmp_path, "--full-refresh")
    assert in_warehouse(tmp_path) == increments


def test_components_are_those_of_networkx(worlds: list[list[list[Message]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference itself is held against a library that knows nothing of order."""
    messages = sorted(
        (m for batch in worlds[0] for m in batch if not m.message_id.endswith("star")),
        key=lambda m: m.message_id,
    )
    unlimited = {kind: (priority, 10**9) for kind, (priority, _) in RULES.items()}
    monkeypatch.setattr("tests.reference_identity.RULES", unlimited)
    people = resolve(messages[:6000], frozenset({"null"}))
    graph: networkx.Graph = networkx.Graph()
    for message in messages[:6000]:
        kept = [i for i in message.identifiers if i[1] != "null"]
        graph.add_nodes_from(kept)
        graph.add_edges_from(itertools.pairwise(kept))
    ours = {}
    for identifier, owner in people.owner.items():
        ours.setdefault(owner, set()).add(identifier)
    assert {frozenset(c) for c in networkx.connected_components(graph)} == {frozenset(c) for c in ours.values()}


def test_overrides_hold_from_the_beginning_and_splits_are_logged(tmp_path: Path) -> None:
    """300 worlds; what operators decide arrives between builds. Then everything is as if it had always been so."""
    project, home = copy_of_the_project(tmp_path / "project"), tmp_path / "home"
    prepare(home)
    rng = random.Random(3)
    streams = [random_world(f"o{number}", 5000 + number) for number in range(300)]
    first = [m for stream in streams for m in stream[: len(stream) // 2]]
    second = [m for stream in streams for m in stream[len(stream) // 2 :]]
    decided: dict[str, list[tuple[Identifier, Identifier]]] = {"cut": [], "forbid": [], "force": []}
    for stream in streams:
        pool = sorted({i for m in stream for i in m.identifiers if i[1] != "null"})
        action = rng.choice(["cut", "forbid", "force"])
        if len(pool) >= 2:
            decided[action].append(tuple(rng.sample(pool, 2)))  # type: ignore[arg-type]
    land(home, first)
    build(home, project=project)
    before = in_warehouse(home)[0]
    decide(project, decided)
    land(home, second)
    build(home, project=project)
    ordered = [m for part in (first, second) for m in sorted(part, key=lambda message: message.message_id)]
    people = resolve(ordered, frozenset({"null"}), decided["cut"], decided["forbid"], decided["force"])
    check_against(people, home)
    owners = in_warehouse(home)[0]
    logged = set(Platform(home).rows("select from_profile_id, into_profile_id from identity.merges"))
    survivor = {loser: winner for loser, winner, _ in people.merges}

    def final(profile: str) -> str:
        while profile in survivor:
            profile = survivor[profile]
        return profile

    moved = {(before[i], owners[i]) for i in before if i in owners and before[i] != owners[i]}
    assert moved, "some decision must have changed somebody"
    assert all(final(old) == new or (old, new) in logged for old, new in moved)
    increments = in_warehouse(home)
    build(home, "--full-refresh", project=project)
    assert in_warehouse(home) == increments
    decide(project, {})
    build(home, project=project)
    check_against(resolve(ordered, frozenset({"null"})), home)


def copy_of_the_project(folder: Path) -> Path:
    left_out = shutil.ignore_patterns(".venv", ".git", "data", "__pycache__", ".pytest_cache", "*.egg-info")
    return shutil.copytree(PROJECT, folder, ignore=left_out)


def decide(project: Path, decided: dict[str, list[tuple[Identifier, Identifier]]]) -> None:
    """Write the seed."""
    lines = ["action,a_type,a_value,b_type,b_value,decided_by,reason"]
    for action, pairs in decided.items():
        lines += [f"{action},{a[0]},{a[1]},{b[0]},{b[1]},test,because" for a, b in pairs]
    (project / "dbt_project/seeds/identity_overrides.csv").write_text("\n".join(lines) + "\n")
