"""What protected sources said: messages that are nobody's, and why."""

from cdp_orchestration.identity.protection import WORDS, protections
from cdp_orchestration.project.relations import existing
from cdp_orchestration.queries.answers import Lines, Rows
from cdp_orchestration.warehouse import Reading

RULES = ", ".join(f"'{rule}'" for rule in WORDS)


def said_in_vain(connection: Reading, identifier_type: str, value: str) -> list[str]:
    """A sentence for each rule under which a protected source named the identifier, at the first message that did."""
    found = connection.execute(
        "select refusals.rule, refusals.message_id, messages.source from identity.refusals as refusals "
        "inner join staging.messages as messages on messages.message_id = refusals.message_id "
        f"where refusals.identifier_type = ? and refusals.identifier_value = ? and refusals.rule in ({RULES}) order by 1",
        [identifier_type, value],
    ).fetchall()
    return [f"message {message} of source {source} {WORDS[rule]}" for rule, message, source in found]


def not_theirs(connection: Reading, profile_id: str) -> Rows | None:
    """Of a person's identifiers those that a protected source named in messages that are nobody's, each with the first."""
    found = connection.execute(
        "select identifiers.identifier_type || '=' || identifiers.identifier_value, refusals.message_id, messages.source, "
        "refusals.rule from identity.identifiers as identifiers "
        "inner join identity.refusals as refusals on refusals.identifier_type = identifiers.identifier_type "
        "and refusals.identifier_value = identifiers.identifier_value "
        "inner join staging.messages as messages on messages.message_id = refusals.message_id "
        f"where identifiers.profile_id = ? and refusals.rule in ({RULES}) and refusals.rule <> 'update_only' order by 1, 4",
        [profile_id],
    ).fetchall()
    rows = [(name, f"message {message} of source {source} {WORDS[rule]}") for name, message, source, rule in found]
    return Rows("Named by protected sources, and not this person's", ["identifier", "first by"], rows) if rows else None


def protected_sources(connection: Reading) -> Lines:
    """(source, protection, messages, of them of nobody) of every protected source."""
    levels = protections()
    if not levels or not existing(connection, ["profiles.events"]):
        return []
    counted = connection.execute(
        "select source, count(*), sum(case when profile_id is null then 1 else 0 end) from profiles.events group by source"
    ).fetchall()
    amounts = {source: (int(messages), int(of_nobody)) for source, messages, of_nobody in counted}
    return [(source, level, *amounts.get(source, (0, 0))) for source, level in sorted(levels.items())]
