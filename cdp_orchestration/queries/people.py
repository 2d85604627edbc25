"""People as a table shows them: their strongest identifiers, addresses and numbers masked."""

from collections.abc import Sequence
from typing import Any

from cdp_orchestration.identity.masking import masked
from cdp_orchestration.warehouse import Reading

IDENTIFIERS_SHOWN = 3  # of each person the strongest


def shown_people(connection: Reading, rules: dict[str, Any], people: Sequence[str]) -> dict[str, str]:
    """profile_id -> 'email=j…@x.example, user_id=7, and 2 more', in the order given."""
    if not people:
        return {}
    strength = {kind: rule["priority"] for kind, rule in rules["identifiers"].items()}
    held: dict[str, list[tuple[int, str]]] = {}
    for profile_id, kind, value in connection.execute(
        "select profile_id, identifier_type, identifier_value from identity.identifiers "
        f"where profile_id in ({', '.join('?' for _ in people)}) order by 1, 2, 3",
        list(people),
    ).fetchall():
        held.setdefault(profile_id, []).append((strength.get(kind, 0), f"{kind}={masked(rules, kind, value)}"))
    found = {}
    for profile_id in people:
        known = [text for _, text in sorted(held.get(profile_id, []), key=lambda each: each[0])]
        more = f", and {len(known) - IDENTIFIERS_SHOWN} more" if len(known) > IDENTIFIERS_SHOWN else ""
        found[profile_id] = ", ".join(known[:IDENTIFIERS_SHOWN]) + more
    return found
