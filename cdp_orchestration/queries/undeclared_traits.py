"""Traits that messages carry and the catalogue does not have."""

from typing import Any

from cdp_orchestration.queries.catalogue import declared
from cdp_orchestration.warehouse import Reading

Undeclared = tuple[str, int, str, Any, Any]


def undeclared_traits(connection: Reading, traits: dict[str, Any] | None = None) -> list[Undeclared]:
    """(trait, how many messages carry it, their sources, first and last time) of each, the most frequent first.

    `traits` are the catalogue's; left out, they are read from dbt_project.yml.
    """
    known = list(declared("traits") if traits is None else traits)
    unless = f"where writes.trait not in ({', '.join('?' for _ in known)})" if known else ""
    rows = connection.execute(
        "select writes.trait, writes.source, count(distinct writes.message_id), min(writes.occurred_at), "
        f"max(writes.occurred_at) from profiles.trait_writes as writes {unless} group by 1, 2 order by 1, 2",
        known,
    ).fetchall()
    found: dict[str, Undeclared] = {}
    for trait, source, count, first, last in rows:
        _, counted, sources, earliest, latest = found.get(trait, (trait, 0, "", first, last))
        found[trait] = (
            trait, counted + count, f"{sources}, {source}" if sources else source, min(earliest, first), max(latest, last)
        )  # fmt: skip
    return sorted(found.values(), key=lambda row: (-row[1], row[0]))
