"""Identity in SQL against the slow reference: the same owners, ids and merges, however the messages were batched."""

import itertools
import json
import os
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import networkx
import pytest

from cdp_orchestration.landing import Landing, Page, Record
from tests.support.harness import PROJECT, Platform, dbt
from tests.support.reference_identity import RULES, Identifier, Message, People, resolve

BATCHES = 3
BLOCKED = ("user_id", "null")
# Sources of the worlds under protection, each with its stream; inbox is an ordinary one.
STREAMS = {"inbox": "messages", "web": "events", "email": "engagement", "crm": "customers"}


@dataclass(frozen=True)
class World:
    """A small stream over few identifiers, so that they meet often: its messages, each with the batch it came in. A message
    may come twice, in any batch, and earlier than what arrived before it."""

    sent: tuple[tuple[int, Message], ...]

    def named(self, name: str) -> "World":
        """With the name in every value, so that worlds in one warehouse never touch."""
        return World(tuple((batch, message.named(name)) for batch, message in self.sent))


def world(chance: random.Random, sources: Sequence[str] = ("inbox",)) -> World:
    pool = [
        (kind, f"{kind}-{number}")
        for kind, most in (("user_id", 3), ("email", 8), ("phone", 7), ("anonymous_id", 8))
        for number in range(chance.choice([1, chance.randint(1, most)]))
    ]
    sent = []
    for number in range(chance.randint(1, 25)):
        few = min(chance.choice([1, 2, 2, 3, 4]), len(pool))
        chosen = chance.sample(pool, few)
        if chance.random() < 0.1:
            chosen.insert(chance.randint(0, few), BLOCKED)
        received = chance.randint(0, 40)
        place = chance.randint(0, 999)  # ids are in another order than lines: nothing may come of it
        occurred = received - chance.choice([0, 0, 3, 50])
        source = chance.choice(sources) if len(sources) > 1 else sources[0]
        message = Message(f"{place:03d}-{number}", tuple(chosen), received, occurred, source)
        sent += [(chance.randint(0, BATCHES - 1), message) for _ in range(chance.choice([1] * 9 + [2]))]
    return World(tuple(sent))


def generated(count: int, name: str, sources: Sequence[str] = ("inbox",)) -> dict[str, World]:
    """`count` worlds under names of their own, the same in every run. CDP_PROOF (a number other than 0, in `make proof`) draws
    others, three times as many."""
    proof = int(os.environ.get("CDP_PROOF", "0"))
    names = [f"{name}{number}" for number in range(3 * count if proof else count)]
    return {one: world(random.Random(f"{one} {proof}"), sources).named(one) for one in names}


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


def fixed() -> dict[str, World]:
    """Worlds that nobody would draw: chains of 1,000, a star, a browser that people share, two who swap devices."""
    rng = random.Random(7)
    swap = [Message(f"{number}-swap", ids) for number, ids in enumerate([
        (("user_id", "swap-1"), ("ios_id", "swap-a")), (("user_id", "swap-2"), ("ios_id", "swap-b")),
        (("user_id", "swap-1"), ("ios_id", "swap-b")), (("user_id", "swap-2"), ("ios_id", "swap-a")),
        (("ios_id", "swap-a"),), (("ios_id", "swap-b"),)])]  # fmt: skip
    shared = [Message(f"{number:03d}-shared", (("user_id", f"shared-{number}"), ("anonymous_id", "shared-browser")))
              for number in range(30)]  # fmt: skip
    streams = {
        "up": chain("up", 1000, "forwards"), "down": chain("down", 1000, "backwards"),
        "mix": chain("mix", 1000, "shuffled"), "star": star("star", 5000), "swap": swap, "shared": shared,
    }  # fmt: skip
    worlds = {}
    for name, stream in streams.items():
        cuts = sorted(rng.randint(0, len(stream)) for _ in range(BATCHES - 1))
        worlds[name] = World(tuple((sum(place >= cut for cut in cuts), one) for place, one in enumerate(stream)))
    return worlds


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {**generated(1000, "w"), **fixed()}


def in_batches(worlds: Iterable[World]) -> list[list[Message]]:
    """The lines of each batch: the worlds mixed, each in its own order."""
    chance = random.Random(7)
    lines: list[list[tuple[float, Message]]] = [[] for _ in range(BATCHES)]
    for one in worlds:
        places = sorted(chance.random() for _ in one.sent)
        for place, (batch, message) in zip(places, one.sent, strict=True):
            lines[batch].append((place, message))
    return [[message for _, message in sorted(batch, key=lambda line: line[0])] for batch in lines]


def arrived(batches: Iterable[list[Message]]) -> list[Message]:
    """In arrival order: as the lines stand, unless received says more; of a message that came twice, the first."""
    first: dict[str, Message] = {}
    for batch in batches:
        for part in parts(batch):
            for message in sorted(part, key=lambda m: m.received):
                first.setdefault(message.message_id, message)
    return list(first.values())


def parts(batch: list[Message]) -> list[list[Message]]:
    """What lands at once: the lines of one source. Sources take turns, so that each arrives before and after the others."""
    sources = sorted({message.source for message in batch})
    if len(sources) < 2:
        return [batch]
    size = len(batch) // 3 + 1
    turns = [batch[start : start + size] for start in range(0, len(batch), size)]
    mixed = [[message for message in turn if message.source == source] for turn in turns for source in sources]
    return [part for part in mixed if part]


def at(second: int) -> datetime:
    return datetime(2026, 1, 1) + timedelta(seconds=second)


def land(home: Path, messages: list[Message]) -> None:
    """As inbox records, line by line; an identifier type that Segment has no field for goes through externalIds."""
    for part in parts(messages):
        _land(home, part)


def _land(home: Path, messages: list[Message]) -> None:
    records = []
    for message in messages:
        external = [{"id": v, "type": t, "collection": "users", "encoding": "none"} for t, v in message.identifiers]
        body = {"type": "track", "event": "Seen", "messageId": message.message_id, "context": {"externalIds": external},
                "timestamp": at(message.occurred).isoformat() + "Z", "receivedAt": at(message.received).isoformat() + "Z"}  # fmt: skip
        records.append(Record(json.dumps(body), file="worlds.jsonl"))
    source = messages[0].source
    Landing(home / "landing").land(source, STREAMS[source], [Page(records, {})])


def prepare(home: Path) -> None:
    from cdp_orchestration.delivery.ledger import Ledger

    for source, stream in [("web", "events"), ("inbox", "messages"), ("shop", "orders"), ("shop", "refunds"),
                           ("crm", "customers"), ("email", "engagement")]:  # fmt: skip
        Landing(home / "landing").prepare(source, stream)
    Ledger(home / "deliveries").prepare()


def build(home: Path, *more: str, project: Path = PROJECT) -> None:
    """Staging, identity and the events, with their tests: the layers that the reference knows."""
    selected = ("--select", "+2_identity", "+events", "--indirect-selection", "buildable")
    done = dbt(project, home, "build", "--exclude-resource-type", "unit_test", *selected, *more)
    assert done.returncode == 0, done.stdout[-6000:]


@dataclass
class Found:
    """What a warehouse says about identity, and what the reference says in the same words."""

    owners: dict[Identifier, str]
    seen: dict[Identifier, tuple[datetime, datetime]]
    merges: set[tuple[str, str, str]]
    links: dict[str, Identifier]
    events: dict[str, str | None]
    refusals: set[tuple[str, str, str, str]]


def in_warehouse(home: Path, engine: dict[str, str] | None = None) -> Found:
    platform = Platform(home, engine=engine or {})
    held = platform.rows(
        "select identifier_type, identifier_value, profile_id, first_seen_at, last_seen_at from identity.identifiers"
    )
    merges = platform.rows(
        "select from_profile_id, into_profile_id, message_id, identifier_type, identifier_value from identity.merges "
        "where kind = 'merge'")  # fmt: skip
    return Found(
        {(kind, value): profile for kind, value, profile, *_ in held},
        {(kind, value): (first, last) for kind, value, _, first, last in held},
        {merge[:3] for merge in merges},
        {loser: (kind, value) for loser, _, _, kind, value in merges},
        dict(platform.rows("select message_id, profile_id from profiles.events")),
        set(platform.rows("select message_id, identifier_type, identifier_value, rule from identity.refusals")),
    )


def check_vitals(home: Path) -> None:
    """What an increment counted from its changes is what is there."""
    counted, there = Platform(home).rows(
        "select * from (select profiles, identifiers, largest_profile from identity.vitals where resolution_no is not null "
        "order by resolution_no desc limit 1) as counted union all select count(*), sum(held), max(held) "
        "from (select count(*) as held from identity.identifiers group by founded_at) as there"
    )
    assert counted == there


def according_to(people: People) -> Found:
    return Found(
        people.owner,
        {i: (at(min(seen)), at(max(seen))) for i, seen in people.seen.items() if i in people.owner},
        set(people.merges),
        people.links,
        {message_id: people.profile_of(message_id) for message_id in people.events},
        {(message, *identifier, rule) for (identifier, rule), message in people.refusals.items()},
    )


def check_against(people: People, found: Found) -> None:
    expected = according_to(people)
    assert found.refusals == expected.refusals
    assert found.owners == expected.owners
    assert found.seen == expected.seen
    assert found.merges == expected.merges
    assert found.links == expected.links
    assert found.events == expected.events


def test_increments_equal_a_rebuild_equal_the_reference(worlds: dict[str, World], tmp_path: Path) -> None:
    assert len(worlds) >= 1000
    batches = in_batches(worlds.values())
    prepare(tmp_path)
    for number in range(len(batches)):
        land(tmp_path, batches[number])
        build(tmp_path)
        people = resolve(arrived(batches[: number + 1]), frozenset({"null"}))
        check_against(people, in_warehouse(tmp_path))
        check_vitals(tmp_path)
        assert starts_over(tmp_path) == (number == 0), "only the first build resolves from the beginning"
    assert people.merges, "some worlds must merge"
    assert any(rule == "merge_protection" for _, rule in people.refusals), "some worlds must meet a limit"
    increments = in_warehouse(tmp_path)
    build(tmp_path, "--full-refresh")
    assert in_warehouse(tmp_path) == increments


def starts_over(home: Path) -> bool:
    [(after,)] = Platform(home).rows("select after_arrival from identity_steps.finished_resolution")
    return bool(after < 0)


def test_models_run_alone_between_builds_change_nobody(tmp_path: Path) -> None:
    """Run again, they write what they had written; refreshed, `kept` loses what earlier builds put there, so the next
    resolution starts from the beginning."""
    batches = in_batches(generated(40, "alone").values())
    prepare(tmp_path)

    def step(number: int) -> Found:
        land(tmp_path, batches[number])
        build(tmp_path, "--exclude-resource-type", "test")
        found = in_warehouse(tmp_path)
        check_against(resolve(arrived(batches[: number + 1]), frozenset({"null"})), found)
        return found

    def alone(*arguments: str) -> None:
        done = dbt(PROJECT, tmp_path, "run", *arguments)
        assert done.returncode == 0, done.stdout[-6000:]

    step(0)
    found = step(1)
    assert not starts_over(tmp_path)
    owners = "select identifiers, profile_id from identity.set_owners order by identifiers"
    owned = Platform(tmp_path).rows(owners)
    alone("--select", "new_sets", "repeated_sets", "identifier_sets", "kept", "identifiers")
    assert in_warehouse(tmp_path) == found
    assert Platform(tmp_path).rows(owners) == owned
    alone("--full-refresh", "--select", "kept")
    step(2)
    assert starts_over(tmp_path)


def test_components_are_those_of_networkx(worlds: dict[str, World], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference itself is held against a library that knows nothing of order."""
    messages = arrived(in_batches(one for name, one in worlds.items() if name != "star"))
    unlimited = {kind: (priority, 10**9) for kind, (priority, _) in RULES.items()}
    monkeypatch.setattr("tests.support.reference_identity.RULES", unlimited)
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
    """300 worlds; what operators decide arrives between builds. Then everything is as if it had always been so, and stays so
    in the increment after. A third of the messages come from protected sources."""
    project, home = copy_of_the_project(tmp_path / "project"), tmp_path / "home"
    prepare(home)
    rng = random.Random(3)
    protection = drawn_protection(random.Random(os.environ.get("CDP_PROOF", "0")))
    protect(project, protection)
    speak_segment(project, protection)
    worlds = generated(300, "o", ["inbox", "inbox", *STREAMS]).values()
    first, second, third = in_batches(worlds)
    decided: dict[str, list[tuple[Identifier, Identifier]]] = {"cut": [], "forbid": [], "force": []}
    for one in worlds:
        pool = sorted({i for _, m in one.sent for i in m.identifiers if i != BLOCKED})
        for _ in range(rng.choice([1, 1, 2, 3]) if len(pool) >= 2 else 0):
            action = rng.choice(list(decided))
            a, b = rng.sample(pool, 2)
            decided[action].append((a, b))
    # A forced identifier may be cut from another one, too; forbidding it what its group holds would be a contradiction.
    forced = {identifier for pair in decided["force"] for identifier in pair}
    decided["forbid"] = [pair for pair in decided["forbid"] if not forced & set(pair)]
    land(home, first)
    build(home, project=project)
    before = in_warehouse(home).owners
    decide(project, decided)
    land(home, second)
    build(home, project=project)

    def reference(*batches: list[Message], decided: dict[str, list[tuple[Identifier, Identifier]]]) -> People:
        pairs = [decided.get(action, []) for action in ("cut", "forbid", "force")]
        return resolve(arrived(batches), frozenset({"null"}), *pairs, protection=protection)

    people = reference(first, second, decided=decided)
    met = {rule for _, rule in people.refusals}
    assert {"read_only", "update_only", "update_only_no_match", "merge_protection", "cut"} <= met
    from_the_beginning = in_warehouse(home)
    check_against(people, from_the_beginning)
    owners = from_the_beginning.owners
    logged = set(Platform(home).rows("select from_profile_id, into_profile_id from identity.merges"))
    survivor = {loser: winner for loser, winner, _ in people.merges}

    def final(profile: str) -> str:
        while profile in survivor:
            profile = survivor[profile]
        return profile

    moved = {(before[i], owners[i]) for i in before if i in owners and before[i] != owners[i]}
    assert moved, "some decision must have changed somebody"
    assert all(final(old) == new or (old, new) in logged for old, new in moved)
    land(home, third)
    build(home, project=project)
    check_vitals(home)
    assert not starts_over(home), "decisions that did not change must not cost a resolution from the beginning"
    increments = in_warehouse(home)
    check_against(reference(first, second, third, decided=decided), increments)
    build(home, "--full-refresh", project=project)
    assert in_warehouse(home) == increments
    decide(project, {})
    build(home, project=project)
    check_against(reference(first, second, third, decided={}), in_warehouse(home))
    # Decided once more: the same pairs split again. What a resolution that was killed had said of splits is forgotten.
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into identity.splits select 'a', 'b', split_at, 'email', 'nobody', 1000000 from identity.splits"
        )
        connection.execute(  # and what came to pass is not
            "insert into identity.splits select 'c', profile_id, now()::timestamp, identifier_type, identifier_value, 1000000 "
            "from identity.identifiers limit 1"
        )
    decide(project, decided)
    build(home, project=project)
    assert in_warehouse(home) == increments
    splits = Platform(home).rows(
        "select count(*), count(distinct (from_profile_id, into_profile_id)) from identity.splits"
    )
    assert splits[0][0] > splits[0][1], "some pair must have split twice"
    assert Platform(home).rows("select count(*) from identity.splits where from_profile_id = 'a'") == [(0,)]
    assert Platform(home).rows("select count(*) from identity.splits where from_profile_id = 'c'") == [(1,)]


def test_protected_messages_change_nobody() -> None:
    """The reference itself: who is who comes out as if they were not there, and they follow the people of others."""
    protection = {"web": "update_only", "email": "read_only"}
    attached = unmatched = 0
    for one in generated(300, "p", ["inbox", "inbox", "web", "email"]).values():
        messages = arrived(in_batches([one]))
        people = resolve(messages, frozenset({"null"}), protection=protection)
        alone = resolve([m for m in messages if m.source == "inbox"], frozenset({"null"}))
        assert (people.owner, people.merges, people.links, people.seen) == (
            alone.owner, alone.merges, alone.links, alone.seen)  # fmt: skip
        assert {**people.refusals, **alone.refusals} == people.refusals
        assert {**people.events, **alone.events} == people.events
        assert {people.events[m.message_id] for m in messages if m.source == "email"} <= {None}
        updates = [people.events[m.message_id] for m in messages if m.source == "web"]
        attached += sum(named is not None for named in updates)
        unmatched += sum(named is None for named in updates)
    assert attached > 100
    assert unmatched > 100


@pytest.mark.skipif(os.environ.get("CDP_PROOF", "0") == "0", reason="three builds: make proof; else test_protection")
def test_postgres_protects_alike(postgres: dict[str, str], tmp_path: Path) -> None:
    """The reference again, on the other engine: a first build, one that goes on, and the decisions of operators."""
    project, home = copy_of_the_project(tmp_path / "project"), tmp_path / "home"
    protection = {"web": "update_only", "email": "read_only", "crm": "update_only"}
    protect(project, protection)
    speak_segment(project, protection)
    batches = in_batches(generated(80, "g", ["inbox", "inbox", *STREAMS]).values())
    cut = sorted(
        {tuple(m.identifiers[:2]) for m in batches[0] if len(m.identifiers) > 1 and BLOCKED not in m.identifiers}
    )
    for number, batch in enumerate(batches):
        land(home, batch)
        decide(project, {"cut": cut[:20]} if number == 2 else {})
        platform = Platform(home, project, postgres)
        loaded = platform.cdp("load")
        assert loaded.returncode == 0, loaded.stderr
        selected = ("--select", "+2_identity", "+events", "--exclude-resource-type", "unit_test", "test")
        done = dbt(project, home, "build", *selected, **postgres)
        assert done.returncode == 0, done.stdout[-6000:]
        people = resolve(
            arrived(batches[: number + 1]),
            frozenset({"null"}),
            cut[:20] if number == 2 else (),
            protection=protection,
        )
        check_against(people, in_warehouse(home, postgres))


def drawn_protection(chance: random.Random) -> dict[str, str]:
    """Of each kind at least one source."""
    levels = ["update_only", "read_only", chance.choice(["update_only", "read_only"])]
    chance.shuffle(levels)
    return dict(zip(["web", "email", "crm"], levels, strict=True))


def protect(project: Path, protection: Mapping[str, str]) -> None:
    """Declare it."""
    file = project / "dbt_project.yml"
    declared = json.dumps({source: {"protection": level} for source, level in protection.items()})
    text = file.read_text()
    assert text.count("\n  sources: {}\n") == 1
    file.write_text(text.replace("\n  sources: {}\n", f"\n  sources: {declared}\n"))


def speak_segment(project: Path, sources: Iterable[str]) -> None:
    """Let these sources send messages of the Segment spec."""
    for source in sources:
        stream = STREAMS[source]
        (project / f"dbt_project/models/1_staging/stg_{source}__{stream}.sql").write_text(
            f"{{{{ segment_messages(source('{source}', '{stream}')) }}}}\n"
        )


def copy_of_the_project(folder: Path) -> Path:
    """Without what its own operators decided."""
    left_out = shutil.ignore_patterns(".venv", ".git", "data", "__pycache__", ".pytest_cache", "*.egg-info")
    shutil.copytree(PROJECT, folder, ignore=left_out)
    decide(folder, {})
    return folder


def decide(project: Path, decided: dict[str, list[tuple[Identifier, Identifier]]]) -> None:
    """Write the seed."""
    lines = ["action,a_type,a_value,b_type,b_value,decided_by,reason"]
    for action, pairs in decided.items():
        lines += [f"{action},{a[0]},{a[1]},{b[0]},{b[1]},test,because" for a, b in pairs]
    (project / "dbt_project/seeds/identity_overrides.csv").write_text("\n".join(lines) + "\n")
