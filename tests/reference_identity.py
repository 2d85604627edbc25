"""The slow, obvious reference for identity: messages one by one, in arrival order, without limits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5

Identifier = tuple[str, str]


@dataclass(frozen=True)
class Message:
    message_id: str
    identifiers: tuple[Identifier, ...]


@dataclass
class People:
    """owner: identifier -> profile; merges: (from, into, message_id) in order; age: profile -> founding place."""

    owner: dict[Identifier, str] = field(default_factory=dict)
    age: dict[str, int] = field(default_factory=dict)
    merges: list[tuple[str, str, str]] = field(default_factory=list)
    links: dict[str, set[Identifier]] = field(default_factory=dict)


def resolve(messages: Iterable[Message], blocked: frozenset[str] = frozenset()) -> People:
    """Messages must come in arrival order."""
    people = People()
    for place, message in enumerate(messages):
        identifiers = [identifier for identifier in message.identifiers if identifier[1] not in blocked]
        if not identifiers:
            continue
        met = sorted({people.owner[i] for i in identifiers if i in people.owner}, key=lambda one: people.age[one])
        if met:
            survivor, *absorbed = met
        else:
            survivor, absorbed = md5(message.message_id.encode()).hexdigest(), []
            people.age[survivor] = place
        for loser in absorbed:
            people.merges.append((loser, survivor, message.message_id))
            people.links[loser] = {i for i in identifiers if people.owner.get(i) == loser}
        for identifier, owner in people.owner.items():
            if owner in absorbed:
                people.owner[identifier] = survivor
        for identifier in identifiers:
            people.owner[identifier] = survivor
    return people
