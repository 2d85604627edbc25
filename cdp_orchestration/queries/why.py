"""`cdp why A B`: the links that make two identifiers one person, or the rule that keeps them apart."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.rules import Identifier, identity_rules
from cdp_orchestration.identity.spelling import spelled
from cdp_orchestration.queries.answers import Answer, Rows
from cdp_orchestration.queries.protected import RULES, said_in_vain
from cdp_orchestration.warehouse import Reading, Warehouse

Evidence = dict[str, tuple[str, Any, list[tuple[Identifier, str, str | None]]]]


def why(home: Home, one: Identifier, other: Identifier) -> Iterator[Answer]:
    """The path of links, each with message, time and source; or why there is none.

    Raises NeedsAPerson where an identifier is unknown to the warehouse or blocked.
    """
    rules = identity_rules()
    a, b = spelled(rules, *one), spelled(rules, *other)
    if a == b:
        raise NeedsAPerson(f"{_name(a)} and {_name(b)} are the same identifier.")
    with Warehouse(home).reading() as connection:
        owner_a, owner_b = _owner(connection, a), _owner(connection, b)
        decided = _decisions(connection)
        if owner_a == owner_b:
            yield f"{_name(a)} and {_name(b)} are one person: {owner_a}"
            steps = path(_evidence(connection, [owner_a]), decided, a, b)
            yield Rows("Linked by", ["identifier", "with", "message", "at", "source"], steps)
            absorbed = connection.execute(
                "select from_profile_id, into_profile_id, merged_at, identifier_type || '=' || identifier_value, message_id "
                "from identity.merges where kind = 'merge' and into_profile_id = ? order by merged_at",
                [owner_a]).fetchall()  # fmt: skip
            if absorbed:
                yield Rows("Merges on the way", ["absorbed", "into", "at", "link", "message"], absorbed)
            return
        yield f"{_name(a)} and {_name(b)} are two persons: {owner_a} and {owner_b}"
        yield from _why_not(connection, rules, decided, owner_a, owner_b)
        splits = connection.execute(
            "select from_profile_id, into_profile_id, merged_at, identifier_type || '=' || identifier_value "
            "from identity.merges where kind = 'split' and from_profile_id in (?, ?) order by merged_at",
            [owner_a, owner_b]).fetchall()  # fmt: skip
        if splits:
            yield Rows("Splits", ["from", "into", "at", "what moved"], splits)


def path(
    evidence: Evidence, decided: list[tuple[str, Identifier, Identifier]], a: Identifier, b: Identifier
) -> list[tuple[str, str, str, Any, str]]:
    """Shortest chain of (identifier, with, message, at, source) from a to b over messages and forced links."""
    edges: dict[Identifier, list[tuple[Identifier, str, Any, str]]] = defaultdict(list)
    cut = {frozenset(pair) for action, *pair in decided if action == "cut"}
    for message_id, (source, at, entries) in evidence.items():
        linked = [identifier for identifier, outcome, _ in entries if outcome == "linked"]
        for left in linked:
            for right in linked:
                if left != right and frozenset((left, right)) not in cut:
                    edges[left].append((right, message_id, at, source))
    for action, left, right in decided:
        if action == "force":
            edges[left].append((right, "(forced)", None, "identity_overrides.csv"))
            edges[right].append((left, "(forced)", None, "identity_overrides.csv"))
    came: dict[Identifier, tuple[Identifier, str, Any, str]] = {}
    seen, waiting = {a}, deque([a])
    while waiting and b not in seen:
        here = waiting.popleft()
        for there, message_id, at, source in edges[here]:
            if there not in seen:
                seen.add(there)
                came[there] = (here, message_id, at, source)
                waiting.append(there)
    steps: list[tuple[str, str, str, Any, str]] = []
    here = b
    while here in came:
        before, message_id, at, source = came[here]
        steps.append((_name(before), _name(here), message_id, at, source))
        here = before
    return steps[::-1]


def _why_not(
    connection: Reading, rules: dict[str, Any], decided: list[tuple[str, Identifier, Identifier]],
    owner_a: str, owner_b: str,
) -> Iterator[Answer]:  # fmt: skip
    held = defaultdict(set)
    for profile, kind, value in connection.execute(
        "select profile_id, identifier_type, identifier_value from identity.identifiers where profile_id in (?, ?)",
        [owner_a, owner_b]).fetchall():  # fmt: skip
        held[profile].add((kind, value))
    both = held[owner_a] | held[owner_b]
    limits = {kind: rule["limit"] for kind, rule in rules["identifiers"].items() if rule.get("limit")}
    counts = sorted(Counter(kind for kind, _ in both).items())
    reasons = [f"{count} {kind} (limit {limits[kind]})" for kind, count in counts if count > limits.get(kind, count)]
    for action, left, right in decided:
        if action in ("forbid", "cut") and left in both and right in both:
            reasons.append(f"{action} {_name(left)} {_name(right)} (identity_overrides.csv)")
    refused, protected = [], []
    for message_id, (source, at, entries) in _evidence(connection, [owner_a, owner_b]).items():
        holders = {holder for _, _, holder in entries}
        if not {owner_a, owner_b} <= holders:
            continue
        if "attached" in {outcome for _, outcome, _ in entries}:
            protected.append((message_id, at, source, ", ".join(_name(i) for i, _, _ in entries)))
        else:
            dropped = [_name(identifier) for identifier, outcome, _ in entries if outcome != "linked"]
            refused.append((message_id, at, source, ", ".join(_name(i) for i, _, _ in entries), ", ".join(dropped)))
    if protected:
        columns = ["message", "at", "source", "carried"]
        yield Rows(
            "Messages that carry identifiers of both, of sources that link nobody (update_only)", columns, protected
        )
    if not refused:
        if protected:
            return
        yield "No message carries an identifier of both, so nothing ever said that they are one."
        if reasons:
            yield f"Together they would hold: {'; '.join(reasons)}."
        return
    yield f"Together they would break: {'; '.join(reasons) or 'a limit, at the time of the message'}."
    yield Rows("Messages that would have joined them", ["message", "at", "source", "carried", "dropped"], refused)


def _owner(connection: Reading, identifier: Identifier) -> str:
    found = connection.execute(
        "select profile_id from identity.identifiers where identifier_type = ? and identifier_value = ?",
        list(identifier),
    ).fetchone()
    if found:
        return str(found[0])
    refused = connection.execute(
        f"select rule, message_id from identity.refusals where identifier_type = ? and identifier_value = ? "
        f"and rule not in ({RULES}) order by 1, 2",
        list(identifier),
    ).fetchall()
    if refused:
        rule, message_id = refused[0]
        raise NeedsAPerson(
            f"Nobody holds {_name(identifier)}: the rule {rule} kept it from linking, first in message {message_id}."
        )
    if in_vain := said_in_vain(connection, *identifier):
        raise NeedsAPerson(f"Nobody holds {_name(identifier)}: {'; '.join(in_vain)}.")
    raise NeedsAPerson(f"Nobody holds {_name(identifier)}: no message of the warehouse carries it.")


def _evidence(connection: Reading, profiles: list[str]) -> Evidence:
    """message_id: (source, occurred_at, [(identifier, outcome, holder)]), in order of arrival."""
    found: Evidence = {}
    for message_id, source, at, kind, value, outcome, holder in connection.execute(
        "select message_id, source, occurred_at, identifier_type, identifier_value, outcome, held_by from identity.evidence "
        f"where profile_id in ({', '.join('?' for _ in profiles)}) order by arrival", profiles).fetchall():  # fmt: skip
        found.setdefault(message_id, (source, at, []))[2].append(((kind, value), outcome, holder))
    return found


def _decisions(connection: Reading) -> list[tuple[str, Identifier, Identifier]]:
    rows = connection.execute("select action, a_type, a_value, b_type, b_value from identity.overrides").fetchall()
    return [(action, (a_type, a), (b_type, b)) for action, a_type, a, b_type, b in rows]


def _name(identifier: Identifier) -> str:
    return f"{identifier[0]}={identifier[1]}"
