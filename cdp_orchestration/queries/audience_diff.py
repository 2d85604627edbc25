"""`cdp audience-diff --base REV`: what a change of the project does to audiences, over the same data, before it is merged."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from cdp_orchestration.errors import CdpError, NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.identity.rules import identity_rules
from cdp_orchestration.project.dbt_process import WarmDbt, dbt_processes
from cdp_orchestration.project.fingerprint import fingerprint
from cdp_orchestration.project.manifest import audiences, current_manifest, observing
from cdp_orchestration.project.revisions import commit_of, is_dirty, revision_project
from cdp_orchestration.project.variables import project_variables
from cdp_orchestration.queries.answers import Answer, Lines, Rows
from cdp_orchestration.queries.at import NOT_FROM_LANDING
from cdp_orchestration.queries.people import shown_people
from cdp_orchestration.scratch import Moment, Project, Scratch, checked_out, moment, scratch_warehouse

SAMPLE = 3
NOBODY = pa.table({name: pa.array([], pa.string()) for name in ("audience", "profile_id", "variant")})


@dataclass(frozen=True)
class Moved:
    """An audience in the two revisions. `known`: whether it is an audience before, and after."""

    audience: str
    known: tuple[bool, bool]
    before: int
    after: int
    adds: int
    drops: int
    other_variant: int

    @property
    def percent(self) -> float:
        """Adds and drops as a share of the members before; 0 for an audience that is new, 100 for one that was empty."""
        if not self.known[0] or not self.adds + self.drops:
            return 0.0
        return 100 * (self.adds + self.drops) / self.before if self.before else 100.0


@dataclass(frozen=True)
class Side:
    """One of the two revisions: in words, its audiences in question, its warehouse (None: it has none of them), the members."""

    label: str
    names: list[str]
    observing: set[str]
    scratch: Scratch | None
    members: pa.Table


@dataclass(frozen=True)
class Difference:
    answers: list[Answer]
    moved: list[Moved]


def audience_diff(
    home: Home,
    base: str,
    head: str | None = None,
    names: Sequence[str] = (),
    as_of: str | None = None,
    through: int | None = None,
) -> Difference:
    """Per audience who is added and who is dropped between the revision `base` and `head` (None: the working tree as it is).

    Both are built over the same landed batches for the same moment, in scratch warehouses: as_of and batches of the last build,
    unless given; where nothing is built, now and all that landed. Raises NeedsAPerson for an unknown revision or audience, and
    CdpError where one of the two does not build.
    """
    commits = commit_of(base, "--base"), commit_of(head, "--head") if head else None
    with dbt_processes(4) as processes, ExitStack() as open_now:
        manifest = current_manifest(home)
        then = moment(home, as_of, through)
        projects = []
        for commit, dbt in zip(commits, processes[:2], strict=True):
            if commit is None:
                projects.append(checked_out(home, manifest))
            else:
                folder = open_now.enter_context(TemporaryDirectory(prefix="cdp-revision-"))
                projects.append(revision_project(home, commit, Path(folder), dbt))
        known = sorted(set(audiences(projects[0].manifest)) | set(audiences(projects[1].manifest)))
        for name in names:
            if name not in known:
                raise NeedsAPerson(f"{name}: is no audience of either. There are: {', '.join(known) or 'none'}.")
        labels = _label(base, commits[0]), _label(head, commits[1])
        before, after = (
            _side(home, then, label, project, names or known, dbt, open_now)
            for label, project, dbt in zip(labels, projects, processes[2:], strict=True)
        )
        moved = _moved(before, after)
        samples = _samples(before, after)
        same_people = _foundation(projects[0]) == _foundation(projects[1])
    answers: list[Answer] = [
        f"From {before.label} to {after.label}, both as of {then} by batches 1 to {then.through:,}.",
        _table(moved),
        *([Rows("Some of them", ["audience", "", "person", "identifiers"], samples)] if samples else []),
    ]
    if not same_people:
        answers.append(
            "Identity rules, staging or identity models differ. People are compared by profile_id: one whose id changes counts "
            "as a drop and an add."
        )
    if observed := sorted(before.observing | after.observing):
        answers.append(NOT_FROM_LANDING.format(names=", ".join(observed)))
    return Difference(answers, moved)


def over(moved: Sequence[Moved], percent: float) -> list[str]:
    """A sentence for each audience that moves by more than so many percent of its members before."""
    return [
        f"{one.audience}: {one.adds:,} adds and {one.drops:,} drops are {one.percent:.1f} % of {one.before:,} members."
        for one in moved
        if one.percent > percent
    ]


def _label(revision: str | None, commit: str | None) -> str:
    if commit is None:
        return "the working tree" + (", which has changes that are not committed" if is_dirty() else "")
    return f"{revision} ({commit[:10]})"


def _side(
    home: Home, then: Moment, label: str, project: Project, names: Sequence[str], dbt: WarmDbt, open_now: ExitStack
) -> Side:
    there = [name for name in names if name in audiences(project.manifest)]
    observed = observing(project.manifest) & set(there)
    if not there:
        return Side(label, there, observed, None, NOBODY)
    try:
        scratch = open_now.enter_context(scratch_warehouse(home, then, there, dbt, project))
    except NeedsAPerson:
        raise
    except CdpError as error:
        raise CdpError(f"{label}: {error}") from None
    with scratch.reading() as connection:
        held = connection.arrow("select * from audiences.current_members")
    if "variant" not in held.column_names:
        held = held.append_column("variant", pa.nulls(held.num_rows, pa.string()))
    return Side(label, there, observed, scratch, held.select(NOBODY.column_names))


BOTH = """
    select
        coalesce(before.audience, after.audience) as audience,
        coalesce(before.profile_id, after.profile_id) as profile_id,
        before.profile_id is not null as was,
        after.profile_id is not null as is_one,
        before.variant is distinct from after.variant as other_variant
    from before full join after on after.audience = before.audience and after.profile_id = before.profile_id
"""


def _compared(before: Side, after: Side, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.register("before", before.members)
        connection.register("after", after.members)
        return connection.execute(f"with both_sides as ({BOTH}) {sql}").fetchall()


def _moved(before: Side, after: Side) -> list[Moved]:
    counts = {
        audience: found
        for audience, *found in _compared(before, after, """
            select audience, count(*) filter (was), count(*) filter (is_one), count(*) filter (not was),
                count(*) filter (not is_one), count(*) filter (was and is_one and other_variant)
            from both_sides group by audience""")
    }  # fmt: skip
    return [
        Moved(name, (name in before.names, name in after.names), *counts.get(name, [0] * 5))
        for name in sorted({*before.names, *after.names})
    ]


def _samples(before: Side, after: Side) -> list[tuple[Any, ...]]:
    """Of each audience the first people by id who are added or dropped: ids are hashes, so these are any people."""
    found = _compared(before, after, f"""
        select audience, is_one, profile_id from both_sides where was <> is_one
        qualify row_number() over (partition by audience, is_one order by profile_id) <= {SAMPLE}
        order by audience, is_one desc, profile_id""")  # fmt: skip
    rules = identity_rules()
    shown: dict[bool, dict[str, str]] = {}
    for added, side in ((True, after), (False, before)):
        people = sorted({person for _, is_one, person in found if is_one is added})
        if people and side.scratch:
            with side.scratch.reading() as connection:
                shown[added] = shown_people(connection, rules, people)
    return [(name, "added" if added else "dropped", person, shown[added][person]) for name, added, person in found]


def _table(moved: list[Moved]) -> Rows:
    words = {(False, True): "new", (True, False): "removed", (True, True): ""}
    columns = ["audience", "", "before", "after", "adds", "drops", "unchanged"]
    rows: Lines = []
    for one in moved:
        unchanged = one.after - one.adds
        rows.append((one.audience, words[one.known], one.before, one.after, one.adds, one.drops, unchanged))
    if any(one.other_variant for one in moved):
        columns = [*columns, "in another variant"]
        rows = [(*row, one.other_variant) for row, one in zip(rows, moved, strict=True)]
    return Rows("Audiences", columns, rows)


def _foundation(project: Project) -> str:
    """What people and their ids are made by."""
    return fingerprint(project.manifest, project_variables(project.root))
