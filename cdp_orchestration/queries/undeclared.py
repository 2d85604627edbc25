"""`cdp undeclared`: what senders say that the catalogue does not declare."""

from collections.abc import Iterator

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.queries.answers import Answer, Rows
from cdp_orchestration.warehouse import RelationMissing, Warehouse

# what a reader sees -> how the view says it
KINDS = {"properties": ("property", ["event", "property"]), "traits": ("trait", ["trait"])}


def undeclared(home: Home, limit: int) -> Iterator[Answer]:
    """The names of undeclared properties, by event, and traits, the most frequent first: what they mostly are, how often, of how
    many people. No values. Raises NeedsAPerson where the build that this needs was not made yet."""
    with Warehouse(home).reading() as connection:
        for title, (kind, columns) in KINDS.items():
            try:
                rows = connection.execute(
                    f"select {'event, ' if kind == 'property' else ''}name, value_type, times, people, last_seen_at "
                    "from profiles.undeclared where kind = ? order by times desc, name, event",
                    [kind],
                ).fetchall()
            except RelationMissing:
                raise NeedsAPerson("profiles.undeclared is not built yet: `cdp run` builds it.") from None
            if not rows:
                yield f"Senders say no {title} that the catalogue does not declare."
                continue
            shown = [(*row[:-1], f"{row[-1]:%Y-%m-%d %H:%M}") for row in rows[:limit]]
            yield Rows(f"Undeclared {title}", [*columns, "mostly", "times", "people", "last seen"], shown)
            if len(rows) > limit:
                yield f"… and {len(rows) - limit:,} more: --limit {len(rows)} shows all."
    yield (
        "Declare what attributes and audiences should read in dbt_project.yml, under vars: catalogue: properties, or traits. The "
        "next `cdp run` reads it out of all that came before."
    )
