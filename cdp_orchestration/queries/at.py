"""`cdp at TIME [AUDIENCE …]`: who was in an audience then, by today's models over what had landed by then."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cdp_orchestration.home import Home
from cdp_orchestration.identity.masking import reach_columns
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.project.dbt_process import dbt_processes
from cdp_orchestration.project.manifest import audiences, current_manifest, observing
from cdp_orchestration.queries.answers import Answer, Rows
from cdp_orchestration.queries.audiences import known_audiences
from cdp_orchestration.queries.people import shown_people
from cdp_orchestration.scratch import Scratch, checked_out, moment, scratch_warehouse
from cdp_orchestration.warehouse import Reading, target

SAMPLE = 10
AUDIENCES = ["5_audiences"]
LAYERS = ["1_staging", "2_identity", "3_profiles", "4_attributes", *AUDIENCES]


def at(
    home: Home, time: str, names: Sequence[str] = (), through: int | None = None, keep: Path | None = None
) -> Iterator[Answer]:
    """Sizes and coverage of the audiences (of all, where none is named) as of a past time, and a sample of each that is named.

    `through`: read batches up to this one, instead of those that a build until then had read. `keep`: a folder in which the
    past warehouse stays, with profiles, traits, consents, attributes and audiences. Raises NeedsAPerson for an unknown
    audience, and where nothing says what had landed by then.
    """
    with dbt_processes(1) as [dbt]:
        manifest = current_manifest(home)
        names = known_audiences(manifest, names)
        then = moment(home, time, through)
        models = LAYERS if keep else names or AUDIENCES
        shown = names or list(audiences(manifest))
        project = checked_out(home, manifest)
        with scratch_warehouse(home, then, models, dbt, project, keep) as scratch, scratch.reading() as connection:
            answers = list(_answers(connection, shown, bool(names)))
    yield then.sentence()
    yield from answers
    if observed := [name for name in shown if name in observing(manifest)]:
        yield NOT_FROM_LANDING.format(names=", ".join(observed))
    if keep:
        yield _kept(scratch, shown)


NOT_FROM_LANDING = (
    "{names}: depends on entries and exits that builds saw (entered_within, exited_within). A warehouse that is built anew knows "
    "none from before, so this need not be what a build saw."
)


def _answers(connection: Reading, names: Sequence[str], samples: bool) -> Iterator[Answer]:
    rules = identity_rules()
    held = f"(select profile_id, {reach_columns(rules)} from identity.identifiers group by profile_id)"
    rows = []
    for name in names:
        row = connection.execute(f"""
            select count(*), sum(coalesce(held.has_email, 0)), sum(coalesce(held.has_phone, 0)), sum(coalesce(held.has_device, 0))
            from (select distinct profile_id from audiences."{name}") as members
            left join {held} as held on held.profile_id = members.profile_id
        """).fetchone()  # fmt: skip
        rows.append((name, *(int(count or 0) for count in row or [])))
    yield Rows("Audiences then", ["audience", "members", "email", "phone", "device"], rows)
    for name in names if samples else []:
        # Ids are hashes: the first ones are any people, and the same ones each time.
        people = [row[0] for row in connection.execute(
            f'select distinct profile_id from audiences."{name}" order by profile_id limit {SAMPLE}').fetchall()]  # fmt: skip
        shown = shown_people(connection, rules, people)
        yield Rows(f"{name}: a sample", ["person", "identifiers"], list(shown.items()))


def _kept(scratch: Scratch, names: Sequence[str]) -> str:
    query = f"select * from audiences.{names[0]}" if names else "select * from profiles.traits"
    if target() == "postgres":
        gone = f"`dropdb {scratch.database}` and `rm -r {scratch.home.root}` remove it"
        return f'Kept in the database {scratch.database}: `psql {scratch.database} -c "{query}"`. {gone}.'
    file = scratch.home.warehouse
    return f'Kept in {scratch.where()}: `duckdb {file} "{query}"`. `rm -r {scratch.home.root}` removes it.'
