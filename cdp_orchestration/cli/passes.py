"""The verbs that do the work: run, demo, sync, dev. What takes seconds to import is imported by the verb."""

import os
import sys

import click

from cdp_orchestration.cli.command import ERR, OUT, main
from cdp_orchestration.cli.start import logging_to, quiet_output, ready_home
from cdp_orchestration.cli.tables import show
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import PROJECT_ROOT, Home


@main.command()
@click.option("--as-of", metavar="TIME", help="The moment to build for (ISO 8601, UTC). Default: the clock.")
@click.option("--full-refresh", is_flag=True, help="Rebuild everything from landing.")
@click.option("--no-deliver", is_flag=True, help="Pull, build and check only.")
@click.option("--force", is_flag=True, help="Make the pass even where nothing would change.")
def run(as_of: str | None, full_refresh: bool, no_deliver: bool, force: bool) -> None:
    """One pass in this process: pull, build, check, deliver. Exit code 0 only if all went well.

    Where the last pass was of the same moment (--as-of) and the same files, no source has anything new and nothing is owed,
    it says so and makes no run.
    """
    from cdp_orchestration.clock import parsed_as_of

    if as_of:
        parsed_as_of(as_of)  # a mistyped time is reported before anything starts
    home = ready_home(to_build=True)
    sys.exit(0 if one_pass(home, as_of, full_refresh, not no_deliver, force) else 1)


def one_pass(home: Home, as_of: str | None, full_refresh: bool, deliver: bool, force: bool = False) -> bool:
    """Run a pass with one line per step on the terminal; library output goes to CDP_HOME/logs/cdp.log."""
    from cdp_orchestration import unread
    from cdp_orchestration.last_pass import is_still_good

    log = home.root / "logs" / "cdp.log"
    OUT.print(f"CDP_HOME {home.root}", soft_wrap=True)
    if not (full_refresh or force) and is_still_good(home, as_of):
        for text in unread.sentences(home):
            OUT.print(f"  {text}", soft_wrap=True)
        OUT.print(
            "Nothing to do: no source has anything new, nothing is owed, and the last pass was of the same files and the "
            "same moment. No run was made."
        )
        return True
    from cdp_orchestration.components.run_pass import run_pass

    with quiet_output(log) as terminal, logging_to(terminal, indent="  "):
        steps = run_pass(home, as_of, full_refresh, deliver)
    for step in steps:
        if not step.ok:
            ERR.print(f"{step.name} failed:")
            for problem in step.problems or ["see the log"]:
                ERR.print(f"  - {problem}")
    ok = all(step.ok for step in steps)
    if ok:
        OUT.print("All went well. `cdp status` shows where things stand.")
    else:
        ERR.print(f"Not all went well. What libraries printed is in {log}.")
    return ok


@main.command()
@click.option(
    "--people", default=5000, show_default=True, type=click.IntRange(min=100), help="Size of the demo company."
)
def demo(people: int) -> None:
    """Run the main job on the demo company, in its own CDP_HOME (./data/demo), and show what happened."""
    os.environ["CDP_HOME"] = os.environ.get("CDP_DEMO_HOME") or str(PROJECT_ROOT / "data" / "demo")
    from cdp_orchestration.demo.run import run_demo

    sys.exit(0 if run_demo(ready_home(to_build=True), people, lambda answer: show(answer, OUT), one_pass) else 1)


@main.command()
@click.argument("name", metavar="NAME")
@click.option("--resync", is_flag=True, help="Forget that rows were accepted, and send all of them again.")
@click.option("--allow-once", is_flag=True, help="Let this delivery pass the sync's guards.")
@click.option("--let-go", is_flag=True, help="Leave what it left over where it is, and stop showing it.")
@click.option("--remove-all", is_flag=True, help="Remove all that it holds from its destinations.")
@click.option("--at", metavar="DESTINATION", help="With --let-go or --remove-all: only at this destination.")
@click.option("--yes", is_flag=True, help="Do not ask (--remove-all asks).")
def sync(name: str, resync: bool, allow_once: bool, let_go: bool, remove_all: bool, at: str | None, yes: bool) -> None:
    """Deliver one sync now, from the warehouse as it is. Or be done with what it left at a destination.

    Without an option: sends what the sync owes, as `cdp run` would, without pulling or building. Failed checks, or a
    failed build, hold it.

    Left over is what `cdp status` shows below the syncs: rows at an address that a destination does not have any more, and
    rows of a sync whose model is gone. --remove-all takes these out, and also what the sync holds at its present address:
    while its model is there, the next delivery adds that again. A destination must still be connected under its name and
    at that address. --let-go writes down that what is left over is no longer ours; it is not removed from anywhere.
    """
    if (resync or allow_once) + let_go + remove_all > 1:
        raise click.UsageError("--resync (or --allow-once), --let-go and --remove-all exclude each other.")
    if at and not (let_go or remove_all):
        raise click.UsageError("--at goes with --let-go or --remove-all.")
    from cdp_orchestration import syncs
    from cdp_orchestration.components.run_pass import run_sync

    home = ready_home()
    if let_go:
        with logging_to(sys.stdout):
            syncs.let_go(home, name, at)
        return
    if remove_all:
        held = syncs.held_by(home, name, at)
        if not held:
            raise CdpError(f"{name}: nothing to remove, no destination holds rows of it{f' at {at}' if at else ''}.")
        for place, rows in held.items():
            OUT.print(f"{name} holds {rows:,} rows at {place}.", soft_wrap=True)
        if syncs.is_declared(home, name):
            OUT.print("Its model is still there: the next delivery adds what it wants again.")
        if not yes:
            click.confirm("Remove them?", abort=True)
        with logging_to(sys.stdout):
            sys.exit(0 if syncs.remove_all(home, name, at) else 1)
    key = syncs.asset_of(home, name)
    if allow_once:
        syncs.allow_once(home, name)
    if resync:
        place = syncs.resync(home, name)
        OUT.print(f"{name}: all of its rows at {place} are to be sent again.", soft_wrap=True)
    with quiet_output(home.root / "logs" / "cdp.log") as terminal, logging_to(terminal, indent="  "):
        step = run_sync(home, key)
    for problem in step.problems:
        ERR.print(f"  - {problem}")
    sys.exit(0 if step.ok else 1)


@main.command()
@click.option("--port", default=3000, show_default=True)
def dev(port: int) -> None:
    """Dagster's UI with its daemon, on loopback, so that schedules and sensors work. Ctrl-C ends it."""
    from cdp_orchestration.cli.dev import serve_dagster
    from cdp_orchestration.demo.run import receiver_of

    home = ready_home(to_build=True)
    with receiver_of(home):
        sys.exit(serve_dagster(home, port))
