"""`cdp profile TYPE=VALUE`: one person."""

from collections.abc import Iterator
from typing import Any

from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.identity.spelling import spelled
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.project.relations import existing, models_of
from cdp_orchestration.queries.answers import Answer, Lines, Rows
from cdp_orchestration.queries.protected import not_theirs, said_in_vain
from cdp_orchestration.warehouse import Reading, Warehouse


def person(home: Home, identifier_type: str, value: str) -> Iterator[Answer]:
    """One person: identifiers, traits with their sources, consents, last events, attributes, audiences.

    Raises NeedsAPerson where no person holds the identifier.
    """
    manifest = current_manifest(home)
    with Warehouse(home).reading() as connection:
        profile_id = holder(connection, identifier_type, value)

        def rows(title: str, columns: list[str], sql: str) -> Rows:
            return Rows(title, columns, connection.execute(sql, [profile_id]).fetchall())

        yield f"Person {profile_id}"
        yield rows("Identifiers", ["type", "value", "first seen", "last seen"],
             "select identifier_type, identifier_value, first_seen_at, last_seen_at from identity.identifiers "
             "where profile_id = ? order by 1, 2")  # fmt: skip
        yield rows("Absorbed profiles", ["absorbed", "at", "linked by", "value", "message"],
             "select from_profile_id, merged_at, identifier_type, identifier_value, message_id from identity.merges "
             "where kind = 'merge' and into_profile_id = ? order by 2")  # fmt: skip
        yield rows("Traits", ["trait", "value", "source", "said at", "message", "won by"],
             "select trait, value, source, occurred_at, message_id, won_by from profiles.traits "
             "where profile_id = ? order by 1")  # fmt: skip
        yield rows("Devices", ["device", "type", "model", "first seen", "last seen", "may be tracked"],
             "select device, type, model, first_seen_at, last_seen_at, is_tracked from profiles.devices "
             "where profile_id = ? order by 1")  # fmt: skip
        yield rows("Consents", ["regulation", "purpose", "state", "said at", "message"],
             "select regulation, purpose, state, occurred_at, message_id from profiles.consents where profile_id = ? "
             "order by 1, 2")  # fmt: skip
        yield rows("Last events", ["at", "source", "type", "event", "properties"],
             "select occurred_at, source, type, event_name, left(properties, 80) from profiles.events "
             "where profile_id = ? order by occurred_at desc, arrival desc limit 10")  # fmt: skip
        if named := not_theirs(connection, profile_id):
            yield named
        yield Rows("Attributes", ["attribute", "value"], _attributes(connection, manifest, profile_id))
        yield rows("Audiences", ["audience", "entered", "exited"],
             "select audience, entered_at, exited_at from audiences.memberships where profile_id = ? order by 2, 1")  # fmt: skip


def holder(connection: Reading, identifier_type: str, value: str) -> str:
    """The profile_id of who holds the identifier. Raises NeedsAPerson where nobody does."""
    _, text = spelled(identity_rules(), identifier_type, value)
    # As the type spells it; a type that distinguishes capitals may be asked without them.
    found = connection.execute(
        "select profile_id from identity.identifiers where identifier_type = ? and lower(identifier_value) = lower(?) "
        "order by case when identifier_value = ? then 0 else 1 end, profile_id limit 1",
        [identifier_type, text, text],
    ).fetchone()
    if found is None:
        if in_vain := said_in_vain(connection, identifier_type, text):
            raise NeedsAPerson(f"Nobody holds {identifier_type}={value}: {'; '.join(in_vain)}.")
        types = [row[0] for row in connection.execute(
            "select distinct identifier_type from identity.identifiers order by 1").fetchall()]  # fmt: skip
        raise NeedsAPerson(
            f"Nobody holds {identifier_type}={value}. Identifier types in the warehouse: {', '.join(types) or 'none'}. "
            "A blocked or quarantined value identifies nobody: see `cdp quarantine`."
        )
    return str(found[0])


def _attributes(connection: Reading, manifest: dict[str, Any], profile_id: str) -> Lines:
    values: Lines = []
    for relation in existing(connection, [f"attributes.{name}" for name in models_of(manifest, "attributes")]):
        name = relation.partition(".")[2]
        cursor = connection.execute(f'select * from attributes."{name}" where profile_id = ?', [profile_id])
        columns = [column[0] for column in cursor.description or []]
        for row in cursor.fetchall():
            values += [pair for pair in zip(columns, row, strict=True) if pair[0] != "profile_id"]
    return values
