"""The slow, obvious reference for identity: messages one by one, in arrival order, under limits and overrides."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import md5

Identifier = tuple[str, str]
Pair = tuple[Identifier, Identifier]

# type: (priority, limit), as dbt_project.yml has them
RULES = {
    "user_id": (1, 1), "email": (2, 5), "phone": (3, 5), "android_id": (4, 50), "ios_id": (4, 50),
    "android_idfa": (4, 50), "ios_idfa": (4, 50), "anonymous_id": (5, 100),
}  # fmt: skip


@dataclass(frozen=True)
class Message:
    """received and occurred are seconds."""

    message_id: str
    identifiers: tuple[Identifier, ...]
    received: int = 0
    occurred: int = 0
    source: str = "inbox"

    def named(self, name: str) -> "Message":
        """The same message in a world of that name; an e-mail stays one, a phone number, too."""
        named = tuple(
            (kind, value if value == "null" else _named(kind, value, name)) for kind, value in self.identifiers
        )
        return replace(self, message_id=f"{self.message_id}-{name}", identifiers=named)


def _named(kind: str, value: str, name: str) -> str:
    if kind == "phone":
        return "9" + str(int(md5(f"{name}.{value}".encode()).hexdigest(), 16))[:13]
    return f"{name}-{value}@mail.example" if kind == "email" else f"{name}-{value}"


@dataclass
class People:
    """owner: identifier -> profile; merges: (from, into, message_id) in order; age: profile -> founding place;
    refusals: (message_id, type, value, rule), the first per identifier and rule; events: message_id -> an identifier that
    it kept, or None; seen: identifier -> when the messages that kept it occurred; placed: identifier -> the place of the
    first message that kept it."""

    owner: dict[Identifier, str] = field(default_factory=dict)
    age: dict[str, int] = field(default_factory=dict)
    merges: list[tuple[str, str, str]] = field(default_factory=list)
    links: dict[str, Identifier] = field(default_factory=dict)
    refusals: dict[tuple[Identifier, str], str] = field(default_factory=dict)
    events: dict[str, Identifier | None] = field(default_factory=dict)
    seen: dict[Identifier, list[int]] = field(default_factory=dict)
    placed: dict[Identifier, int] = field(default_factory=dict)

    def profile_of(self, message_id: str) -> str | None:
        kept = self.events[message_id]
        return None if kept is None else self.owner[kept]


def strength(identifier: Identifier) -> tuple[int, str, str]:
    """Sorts the strongest first: what names the link of a merge."""
    return (RULES[identifier[0]][0], *identifier)


def firmness(message: Message) -> Callable[[Identifier], tuple[int, int]]:
    """Sorts first what the message drops last: of equal priority what stands earlier in it."""
    return lambda identifier: (RULES[identifier[0]][0], message.identifiers.index(identifier))


def resolve(
    messages: Iterable[Message],
    blocked: frozenset[str] = frozenset(),
    cut: Sequence[Pair] = (),
    forbid: Sequence[Pair] = (),
    force: Sequence[Pair] = (),
    protection: Mapping[str, str] | None = None,
) -> People:
    """Messages must come in arrival order. protection: source -> update_only or read_only."""
    people = People()
    held: dict[str, set[Identifier]] = {}
    group = {i: {i} for pair in force for i in pair}
    for one, other in force:
        joined = group[one] | group[other]
        for member in joined:
            group[member] = joined

    def breaks(candidate: set[Identifier]) -> bool:
        """Forced identifiers count once per type of their group, whether or not all of them were seen."""
        counted = Counter(i[0] for i in candidate if i not in group)
        for members in {frozenset(group[i]) for i in candidate if i in group}:
            counted.update({kind for kind, _ in members})
        over = any(counted[kind] > RULES[kind][1] for kind in counted)
        return over or any(one in candidate and other in candidate for one, other in forbid)

    def named_by(identifiers: list[Identifier]) -> Identifier | None:
        """The strongest that somebody holds, itself or by its forced group; they change nobody."""
        for identifier in identifiers:
            if identifier in people.owner:
                return identifier
            if near := [member for member in group.get(identifier, ()) if member in people.owner]:
                return min(near, key=lambda member: people.placed[member])
        return None

    for place, message in enumerate(messages):
        firm = firmness(message)
        kept = sorted({i for i in message.identifiers if i[1] not in blocked}, key=firm)
        if level := (protection or {}).get(message.source):
            out = {max(pair, key=firm) for pair in cut if set(pair) <= set(kept)}
            named = named_by([i for i in kept if i not in out]) if level == "update_only" else None
            people.events[message.message_id] = named
            rule = "update_only_no_match" if level == "update_only" and named is None else level
            for identifier in kept:
                if named is None or identifier not in people.owner:
                    people.refusals.setdefault((identifier, rule), message.message_id)
            continue
        for identifier in message.identifiers:
            if identifier[1] in blocked:
                people.refusals.setdefault((identifier, "blocked_value"), message.message_id)
        for pair in cut:
            if set(pair) <= set(kept):
                weaker = max(pair, key=firm)
                people.refusals.setdefault((weaker, "cut"), message.message_id)
        kept = [i for i in kept if not any(set(pair) <= set(kept) and i == max(pair, key=firm) for pair in cut)]
        while True:
            near = set(kept) | {member for i in kept for member in group.get(i, ())}
            met = {people.owner[i] for i in near if i in people.owner}
            candidate = set(kept).union(*(held[profile] for profile in met))
            if (len(kept) <= 1 and len(met) <= 1) or not breaks(candidate):
                break
            people.refusals.setdefault((kept[-1], "merge_protection"), message.message_id)
            kept.pop()
        people.events[message.message_id] = kept[0] if kept else None
        for identifier in kept:
            people.seen.setdefault(identifier, []).append(message.occurred)
            people.placed.setdefault(identifier, place)
        if not kept:
            continue
        ages = sorted(met, key=lambda profile: people.age[profile])
        if not ages:
            ages = [md5(message.message_id.encode()).hexdigest()]
            people.age[ages[0]] = place
        survivor, *absorbed = ages
        for loser in absorbed:
            people.merges.append((loser, survivor, message.message_id))
            # The strongest identifier that was the loser's own, itself or by its forced group.
            people.links[loser] = next(
                i
                for i in sorted(kept, key=strength)
                if loser in {people.owner.get(member) for member in group.get(i, {i})}
            )
        held[survivor] = candidate
        for loser in absorbed:
            del held[loser]
        for identifier in candidate:
            people.owner[identifier] = survivor
    return people
