"""The verbs that look after a home: load, compact, reset."""

import shutil
import sys

import click
from dotenv import load_dotenv

from cdp_orchestration.cli.command import OUT, main
from cdp_orchestration.cli.start import logging_to, ready_home
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import PROJECT_ROOT, current_home


@main.command()
def load() -> None:
    """Bring what landed into a warehouse that does not read it in place (a part of `run`; before a dbt of your own)."""
    from cdp_orchestration.project.manifest import current_manifest
    from cdp_orchestration.warehouse.loading import load_landing

    home = ready_home(to_build=True)
    with logging_to(sys.stdout):
        load_landing(home, current_manifest(home))
    OUT.print("The warehouse has what landed.")


@main.command()
def compact() -> None:
    """Bring many small files of landing and ledger into few. Changes no record, order or number; a schedule does it nightly."""
    from cdp_orchestration import compaction

    load_dotenv(PROJECT_ROOT / ".env")
    with logging_to(sys.stdout):
        compaction.compact(current_home())


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--everything", is_flag=True, help="Also what landed, the ledger and the inbox: start over from nothing.")
def reset(yes: bool, everything: bool) -> None:
    """Remove the warehouse (it can be rebuilt from landing); with --everything the whole CDP_HOME.

    The ledger stays without --everything: it knows what destinations hold. The history of audiences (entries and exits)
    lives in the warehouse and goes with it; members of today enter again.
    """
    from cdp_orchestration.warehouse import Warehouse

    load_dotenv(PROJECT_ROOT / ".env")
    home = current_home()
    if not home.root.exists():
        OUT.print(f"There is nothing at {home.root}.")
        return
    if everything and not (home.landing.exists() or home.dagster.exists() or home.warehouse.exists()):
        raise CdpError(
            f"{home.root} does not look like a CDP_HOME (no landing/, dagster/ or warehouse): nothing was removed."
        )
    what = "EVERYTHING in" if everything else "the warehouse of"
    if not yes:
        click.confirm(f"Remove {what} {home.root}?", abort=True)
    Warehouse(home).remove()
    if everything:
        shutil.rmtree(home.root)
    else:
        shutil.rmtree(home.dbt_target, ignore_errors=True)
    OUT.print(f"Removed {what} {home.root}.", soft_wrap=True)
