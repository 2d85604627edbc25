"""`cdp why-member … --as-of TIME`: the conditions with the person's values as of then, and what builds saw at the time."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from cdp_orchestration.clock import parsed_as_of
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.rules import Identifier
from cdp_orchestration.project.dbt_process import dbt_processes
from cdp_orchestration.project.manifest import current_manifest, observing
from cdp_orchestration.queries.answers import Answer
from cdp_orchestration.queries.at import NOT_FROM_LANDING
from cdp_orchestration.queries.audiences import known_audiences
from cdp_orchestration.queries.giving_way import kept_out
from cdp_orchestration.queries.person import holder
from cdp_orchestration.queries.why_member import because, conditions, stays_of
from cdp_orchestration.scratch import Moment, checked_out, kept_scratch, moment, scratch_warehouse
from cdp_orchestration.warehouse import NothingBuilt, RelationMissing, Warehouse


def why_member_then(
    home: Home,
    audience: str,
    identifier: Identifier,
    as_of: str | None,
    through: int | None = None,
    kept: Path | None = None,
) -> Iterator[Answer]:
    """The same at a past moment, asked of a warehouse of then: of the one that `cdp at --keep` left in the folder `kept`, or of
    one that is built for it. Then what builds saw at the time.

    Raises NeedsAPerson where audience or identifier is unknown (or was, then), and where nothing says what had landed by then.
    """
    with dbt_processes(0 if kept else 1) as processes, ExitStack() as open_now:
        manifest = current_manifest(home)
        known_audiences(manifest, [audience])
        if kept:
            scratch = kept_scratch(kept)
            if as_of and datetime.fromisoformat(parsed_as_of(as_of)) != datetime.fromisoformat(scratch.moment.as_of):
                raise NeedsAPerson(f"{kept} holds {scratch.moment}, and --as-of asks for {as_of}.")
        else:
            then = moment(home, as_of, through)
            scratch = open_now.enter_context(
                scratch_warehouse(home, then, [audience], processes[0], checked_out(home, manifest))
            )
        sql = scratch.compiled(audience)
        with scratch.reading() as connection:
            person = holder(connection, *identifier)
            shown, found = conditions(connection, audience, person, sql)
            row = connection.execute(
                f'select count(*) from audiences."{audience}" where profile_id = ?', [person]
            ).fetchone()
            out = kept_out(connection, manifest, audience, person)
    yield scratch.moment.sentence()
    yield from shown
    name = "=".join(identifier)
    time, is_one = scratch.moment, bool(row and row[0])
    why = f" Why not: {because(found)}." if found and not is_one and not found.verdict else ""
    yield f"At {time}, {name} was {'' if is_one else 'not '}a member of {audience}.{why}"
    yield from (f"Whatever the conditions say, {each.replace(' holds them', ' held them', 1)}." for each in out)
    yield _as_builds_saw_it(home, audience, name, person, scratch.moment, is_one, audience in observing(manifest))


def _as_builds_saw_it(
    home: Home, audience: str, name: str, person: str, then: Moment, is_one: bool, observed: bool
) -> str:
    """What the real warehouse has on record. It may differ from what today's models give."""
    time = datetime.fromisoformat(then.as_of)
    try:
        with Warehouse(home).reading() as connection:
            stays = stays_of(connection, audience, person)
            row = connection.execute("select max(as_of) from staging.builds where as_of <= ?", [time]).fetchone()
    except (NothingBuilt, RelationMissing):
        row = None
    if not row or row[0] is None:
        return "No build speaks for then, so nobody recorded who was a member."
    stay = next((stay for stay in stays if stay[0] <= time and (stay[1] is None or stay[1] > time)), None)
    said = f"As builds saw it (the last until then was of {row[0]}), {name} was {'' if stay else 'not '}a member then"
    if stay:
        said += f": entered {stay[0]}" + (f", left {stay[1]}" if stay[1] else "")
    if bool(stay) == is_one:
        return f"{said}."
    if observed:
        return f"{said}. {NOT_FROM_LANDING.format(names=audience)}"
    return (
        f"{said}. The two differ: models, rules or overrides are others today, or time passed between that build and then, "
        "which moves windows."
    )
