"""Makes a scratch warehouse: a home of its own, filled by dbt, gone when the block ends unless it is to be kept."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cdp_orchestration.delivery.ledger import Ledger
from cdp_orchestration.errors import CdpError, NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing
from cdp_orchestration.landing.snapshot import snapshot
from cdp_orchestration.project.dbt_command import dbt_in_process
from cdp_orchestration.project.dbt_process import WarmDbt
from cdp_orchestration.scratch import databases
from cdp_orchestration.scratch.folders import scratch_folder
from cdp_orchestration.scratch.moment import Moment
from cdp_orchestration.scratch.project import Project
from cdp_orchestration.warehouse import Reading, Warehouse

NOTE = "scratch.json"  # a home that has it is nobody's own: it is not pulled into, and nothing is delivered from it
QUIET_DBT = {"DBT_WRITE_JSON": "false", "DBT_LOG_LEVEL_FILE": "info"}


@dataclass(frozen=True)
class Scratch:
    """A scratch warehouse: its home, what it holds, and the name of its database where the engine has one."""

    home: Home
    moment: Moment
    database: str

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While open, this process finds the scratch warehouse where it would find the real one."""
        with _environment({"CDP_HOME": str(self.home.root), **databases.variables(self.database)}):
            yield

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        with self.entered(), Warehouse(self.home).reading() as connection:
            yield connection

    def compiled(self, model: str) -> str:
        """The SQL of a model as it was built here. Raises NeedsAPerson where it was not."""
        found = sorted((self.home.dbt_target / "compiled").rglob(f"{model}.sql"))
        if not found:
            raise NeedsAPerson(f"{model} was not built in {self.home.root}.")
        return found[0].read_text()

    def where(self) -> str:
        with self.entered():
            return Warehouse(self.home).where()


@contextmanager
def scratch_warehouse(
    home: Home, moment: Moment, models: Sequence[str], dbt: WarmDbt, project: Project, keep: Path | None = None
) -> Iterator[Scratch]:
    """A warehouse with these models (dbt's selectors) and all that they read, built for the moment. `dbt`: a process to do it.

    `keep`: the folder to build it in, which stays; else it is gone afterwards, whatever happened. Raises CdpError with dbt's
    words where a model fails.
    """
    with scratch_folder(home, keep) as folder:
        scratch = Scratch(Home(folder.root), moment, folder.name)
        _note(scratch, home)
        databases.make(folder.name)
        _fill(scratch, home, models, dbt, project)
        folder.stays = keep is not None
        yield scratch


def kept_scratch(folder: Path) -> Scratch:
    """One that was kept. Raises NeedsAPerson where the folder holds none."""
    try:
        note = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        raise NeedsAPerson(
            f"{folder}: holds no warehouse of the past: `cdp at TIME --keep {folder}` makes one."
        ) from None
    build = datetime.fromisoformat(note["build"]) if note["build"] else None
    moment = Moment(note["as_of"], note["through_batch_seq"], build)
    return Scratch(Home(folder.absolute()), moment, note["database"])


def _note(scratch: Scratch, home: Home) -> None:
    moment = scratch.moment
    note = {"of": str(home.root), "as_of": moment.as_of, "through_batch_seq": moment.through, "database": scratch.database,
            "build": moment.build.isoformat() if moment.build else None}  # fmt: skip
    (scratch.home.root / NOTE).write_text(json.dumps(note) + "\n")


def _fill(scratch: Scratch, home: Home, models: Sequence[str], dbt: WarmDbt, project: Project) -> None:
    moment = scratch.moment
    landing = snapshot(Landing(home.landing), scratch.home.landing, moment.through)
    streams = sorted(
        (source["source_name"], source["name"])
        for source in project.manifest["sources"].values()
        if source["source_name"] != "cdp"
    )
    for stream in streams:
        landing.prepare(*stream)
    Ledger(scratch.home.deliveries).prepare()
    with scratch.entered():
        Warehouse(scratch.home).load(streams)
        environment = {
            **os.environ, **QUIET_DBT, "CDP_AS_OF": moment.as_of, "CDP_BUILD_ID": scratch.database, "CDP_RULES_FINGERPRINT": "",
            "CDP_LEFT_BEHIND": "{}",
        }  # fmt: skip
    selected = [f"+{model}" for model in models]
    failed = dbt_in_process(
        dbt, project.root, scratch.home.dbt_target, environment,
        ["build", "--resource-type", "model", "--resource-type", "seed", "--select", *selected, "--exclude", "6_activation"],
        project.parse if project.parse.exists() else None,  # else dbt parses it once more
    )  # fmt: skip
    if failed is not None and is_disk_full(failed):
        raise disk_full(scratch.home.root)
    if failed is not None:
        raise CdpError(f"The scratch warehouse could not be built. dbt says:\n{failed}")


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
