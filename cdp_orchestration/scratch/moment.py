"""Which moment a past warehouse speaks for, and how much had landed by then."""

from dataclasses import dataclass
from datetime import datetime

from cdp_orchestration.clock import parsed_as_of
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.warehouse import NothingBuilt, RelationMissing, Warehouse


@dataclass(frozen=True)
class Moment:
    """`as_of`: ISO text, UTC without zone; `through`: the last batch_seq that is read; `build`: the as_of of the build that had
    read so far, where one says it."""

    as_of: str
    through: int
    build: datetime | None = None

    def __str__(self) -> str:
        return str(datetime.fromisoformat(self.as_of))

    def sentence(self) -> str:
        """How far the past warehouse reads, and who says so."""
        said = f"by what had landed when the build of {self.build} ran" if self.build else "as --through says"
        return f"As of {self}, {said}: batches 1 to {self.through:,}. Under today's models, rules, vars and overrides."


def moment(home: Home, as_of: str | None, through: int | None) -> Moment:
    """A past moment. `through` left out: as far as the last build with its as_of at that time, or before, had read. `as_of` left
    out: that of the last build, or now where nothing is built.

    Raises NeedsAPerson for a time that lies ahead, one that no build speaks for, and batches that have not landed.
    """
    builds, now = _builds(home), datetime.fromisoformat(parsed_as_of(None))
    time = datetime.fromisoformat(parsed_as_of(as_of)) if as_of else builds[-1][0] if builds else now
    if time > max([now, *(build for build, _ in builds)]):
        raise NeedsAPerson(f"{time} lies ahead: give a past moment.")
    text = time.isoformat(sep=" ", timespec="microseconds")
    landed = Landing(home.landing).last_seq()
    if not landed:
        raise NeedsAPerson(f"Nothing has landed in {home.landing} yet: `cdp run` (or `cdp demo`) pulls.")
    if through is not None:
        if not 0 < through <= landed:
            raise NeedsAPerson(
                f"--through {through}: batches are numbered from 1 to {landed}, so far as they have landed."
            )
        return Moment(text, through)
    if as_of is None and not builds:
        return Moment(text, landed)
    known = [build for build in builds if build[0] <= time]
    if not known:
        said = f"the first was of {builds[0][0]}" if builds else "nothing is built yet"
        raise NeedsAPerson(
            f"No build speaks for {time} or a time before it ({said}), so nobody noted what had landed by then. "
            "--through SEQ says up to which batch to read."
        )
    build, last = known[-1]
    return Moment(text, last, build)


def _builds(home: Home) -> list[tuple[datetime, int]]:
    """(as_of, through_batch_seq) of every build, in their order."""
    try:
        with Warehouse(home).reading() as connection:
            found = connection.execute(
                "select as_of, through_batch_seq from staging.builds order by started_at, as_of"
            ).fetchall()
            return [(as_of, int(through)) for as_of, through in found]
    except (NothingBuilt, RelationMissing):
        return []
